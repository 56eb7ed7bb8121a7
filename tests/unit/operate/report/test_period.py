import math

import pytest

from streamproc.operate.report.anomaly import anomalies
from streamproc.operate.report.period import PARTS, Gathered, Period, Spread

ROW = {"processing_ms": 500, "duration_ms": 2_000, "tier": "computed", "status": "ok", "label": "angry"}
SPAN = 48_000


def gathered() -> Gathered:
    return Gathered(0, SPAN)


def test_nothing_is_no_number() -> None:
    found = gathered().period()
    assert (found.ended, found.error_rate, found.hit_rate, found.response, found.processing) == (
        0,
        None,
        None,
        None,
        None,
    )
    assert len(found.parts) == PARTS
    assert {part.response_s for part in found.parts} == {None}


def test_totals_and_rates() -> None:
    rows = gathered()
    for tier in ("computed", "memory", "redis"):
        rows.result(1_000, {**ROW, "tier": tier}, 0)
    rows.result(1_000, {**ROW, "label": None, "status": "no_speech"}, 0)
    rows.dead_letter(2_000, "object_missing", 0)
    found = rows.period()
    assert (found.results, found.dead_letters, found.audio_s) == (4, 1, 8.0)
    assert (found.error_rate, found.hit_rate) == (0.2, 0.5)
    assert found.tiers == {"computed": 2, "memory": 1, "redis": 1}
    assert (found.labels, found.statuses) == ({"angry": 3}, {"ok": 3, "no_speech": 1})
    assert found.reasons == {"object_missing": 1}


def test_what_another_program_says_no_tier_of_is_no_hit() -> None:
    rows = gathered()
    rows.result(1_000, {**ROW, "tier": "computed"}, 0)
    rows.result(1_000, {**ROW, "tier": None}, 0)
    found = rows.period()
    assert (found.results, found.hit_rate) == (2, 0.0)


def test_times_are_spread_over_results_and_dead_letters_alike() -> None:
    rows = gathered()
    for seconds in range(1, 100):
        rows.result(200_000, ROW, 200_000 - 1_000 * seconds)
    rows.dead_letter(200_000, "object_missing", 100_000)
    found = rows.period()
    assert found.response is not None
    assert (found.response.mean, found.response.p50) == (50.5, 50.5)
    assert found.response.p99 == pytest.approx(99.01)
    assert found.processing == Spread(0.5, 0.5, 0.5, 0.5)


def test_a_beginning_that_is_not_known_is_counted_and_left_out() -> None:
    rows = gathered()
    for _ in range(19):
        rows.result(3_000, ROW, 1_000)
    rows.result(3_000, ROW, None)
    found = rows.period()
    assert found.unknown == 1
    assert found.response == Spread(2.0, 2.0, 2.0, 2.0)
    assert found.parts[3].response_s == 2.0
    rows.result(3_000, ROW, None)
    found = rows.period()
    assert (found.unknown, found.response, found.parts[3].response_s) == (2, None, None)


def test_dead_letters_alone_do_not_tell_how_long_results_took() -> None:
    """Of these the beginning is always known, of results while the input is kept."""
    now, before = gathered(), gathered()
    for _ in range(1_000):
        now.result(2_000, ROW, 1_000)
        before.result(2_000, ROW, None)
    for _ in range(30):
        now.dead_letter(2_000, "decode_failed", 1_940)
        before.dead_letter(2_000, "decode_failed", 1_940)
    found = before.period()
    assert (found.response, found.unknown) == (None, 1_000)
    assert list(anomalies(now.period(), found)) == []


def test_a_clock_that_went_back_gives_no_negative_time() -> None:
    rows = gathered()
    rows.result(1_000, ROW, 5_000)
    assert rows.period().response == Spread(0.0, 0.0, 0.0, 0.0)


def test_parts_have_their_own_counts_and_means() -> None:
    rows = gathered()
    rows.result(1_500, ROW, 500)
    rows.result(1_600, ROW, 600)
    rows.dead_letter(1_700, "object_missing", 1_700 - 4_000)
    rows.result(SPAN - 1, ROW, SPAN - 1)
    parts = rows.period().parts
    assert (parts[1].begin_ms, parts[1].results, parts[1].dead_letters, parts[1].response_s) == (1_000, 2, 1, 2.0)
    assert (parts[-1].results, parts[-1].response_s) == (1, 0.0)
    assert sum(part.results for part in parts) == 3


def period(ended: int = 100, errors: int = 0, response_s: float = 0.1, hits: int = 0, reason: str = "r") -> Period:
    rows = gathered()
    for number in range(ended - errors):
        rows.result(1_000, {**ROW, "tier": "memory" if number < hits else "computed"}, 1_000 - round(1000 * response_s))
    for _ in range(errors):
        rows.dead_letter(1_000, reason, 1_000 - round(1000 * response_s))
    return rows.period()


@pytest.mark.parametrize(
    ("now", "before", "said"),
    [
        (period(), period(), ""),
        (period(response_s=5.1), period(response_s=5.1), "the mean response time is 5.1 s, over 5 s"),
        (period(response_s=5.0), period(response_s=5.0), ""),
        (period(errors=6), period(errors=6), "6.0% became dead letters, over 5%"),
        (period(errors=5), period(errors=5), ""),
        (period(ended=49), period(), "49 records ended, and 100 in the period before"),
        (period(ended=50), period(), ""),
        (period(ended=0), period(ended=19), ""),
        (period(response_s=0.6), period(response_s=0.29), "is 0.60 s, and was 0.29 s"),
        (period(response_s=0.6), period(response_s=0.31), ""),
        (period(response_s=0.4), period(response_s=0.1), ""),
        (period(errors=4), period(errors=1), "4.0% became dead letters, and 1.0% in the period before"),
        (period(errors=4), period(errors=2), ""),
        (period(hits=19), period(hits=40), "19% of the results were known already, and 40%"),
        (period(hits=20), period(hits=40), ""),
        (period(errors=1), period(), "1 dead letters of a reason that the period before had not: r"),
    ],
)
def test_anomalies_begin_above_their_bounds(now: Period, before: Period, said: str) -> None:
    found = list(anomalies(now, before))
    assert len(found) == bool(said)
    assert said in "".join(found)


def test_nan_stays_inside() -> None:
    rows = gathered()
    rows.result(1_000, ROW, None)
    found = rows.period()
    assert found.response is None
    assert not any(part.response_s is not None and math.isnan(part.response_s) for part in found.parts)


def test_new_reasons_come_the_most_frequent_first() -> None:
    rows = gathered()
    for number in range(100):
        rows.result(1_000, ROW, 1_000 - number)
    for reason, count in (("hash_mismatch", 1), ("decode_failed", 3), ("object_empty", 2)):
        for _ in range(count):
            rows.dead_letter(1_000, reason, 900)
    said = [line.split()[-1] for line in anomalies(rows.period(), period()) if "of a reason" in line]
    assert said == ["decode_failed", "object_empty", "hash_mismatch"]
