"""What is out of the ordinary: against fixed bounds, and against the period before."""

from collections.abc import Iterator

from streamproc.operate.report.period import Period

MOST_RESPONSE_S = 5.0
MOST_ERRORS = 0.05
"""The bounds of the alerts."""
FACTOR = 2.0
LEAST = 20
"""Of fewer ends than this in either period a comparison says nothing."""
LEAST_RESPONSE_S = 0.5
LEAST_ERRORS = 0.01
LEAST_HITS = 0.1
"""Below these nobody cares for a factor."""


def anomalies(now: Period, before: Period) -> Iterator[str]:
    """One line each."""
    if now.response and now.response.mean > MOST_RESPONSE_S:
        yield f"the mean response time is {now.response.mean:.1f} s, over {MOST_RESPONSE_S:g} s"
    if now.error_rate is not None and now.error_rate > MOST_ERRORS:
        yield f"{now.error_rate:.1%} became dead letters, over {MOST_ERRORS:.0%}"
    if before.ended >= LEAST and now.ended * FACTOR < before.ended:
        yield f"{now.ended} records ended, and {before.ended} in the period before"
    if min(now.ended, before.ended) >= LEAST:
        yield from _compared(now, before)


def _compared(now: Period, before: Period) -> Iterator[str]:
    if now.response and before.response:
        was, is_now = before.response.mean, now.response.mean
        if is_now > max(FACTOR * was, LEAST_RESPONSE_S):
            yield f"the mean response time is {is_now:.2f} s, and was {was:.2f} s in the period before"
    errors, were = now.error_rate or 0.0, before.error_rate or 0.0
    if errors > max(FACTOR * were, LEAST_ERRORS):
        yield f"{errors:.1%} became dead letters, and {were:.1%} in the period before"
    hits, had = now.hit_rate or 0.0, before.hit_rate or 0.0
    if had > LEAST_HITS and hits * FACTOR < had:
        yield f"{hits:.0%} of the results were known already, and {had:.0%} in the period before"
    for reason, count in now.reasons.items():
        if reason not in before.reasons:
            yield f"{count} dead letters of a reason that the period before had not: {reason}"
