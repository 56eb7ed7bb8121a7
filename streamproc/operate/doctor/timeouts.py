"""The chain of timeouts, with the numbers of these settings."""

from streamproc.chain import CHAIN, Link, Values, plain, values_of
from streamproc.operate.doctor.check import Check
from streamproc.operate.doctor.finding import Finding, well, wrong
from streamproc.settings import ASSIGNMENT_S, Settings, handover_s

AFTER_DRAIN_S = 2 * ASSIGNMENT_S
"""What a stop takes beside its drain at most: leaving the group, and ending the children."""


def check(settings: Settings, grace_s: float | None) -> Check:
    """``grace_s`` is what a supervisor grants between SIGTERM and SIGKILL; None where nobody said."""
    return Check(
        "timeouts",
        "Does every timeout fit into the one around it, a pod's grace among them?",
        lambda: _look(settings, grace_s),
        "Set what the line names.",
    )


def _look(settings: Settings, grace_s: float | None) -> Finding:
    # The settings refuse a chain that does not hold, so only what they do not know can be wrong here.
    values = values_of(settings)
    needed = [link for link in CHAIN if link.high.endswith("_s") and _applies(link, values)]
    least_s = settings.flow.drain_s + AFTER_DRAIN_S
    granted = "--grace says what is granted" if grace_s is None else f"{grace_s:g} s are granted"
    told = (
        *(_filled(link, values) for link in needed),
        f"flow.drain_s {settings.flow.drain_s:g} + {AFTER_DRAIN_S:g} s = {least_s:g} s until SIGKILL; {granted}",
        f"what is given back is worked on by another worker within {handover_s(settings):g} s",
    )
    if grace_s is not None and grace_s < least_s:
        return wrong(
            f"a stop is killed after {grace_s:g} s and may need {least_s:g} s",
            f"Set terminationGracePeriodSeconds (TimeoutStopSec) to {least_s:g} or more, or lower flow.drain_s.",
            *told,
        )
    return well("each fits into the one around it", *told)


def _applies(link: Link, values: Values) -> bool:
    return link.where is None or values[link.where[0]] == link.where[1]


def _filled(link: Link, values: Values) -> str:
    """As in ``a 30 + b 60 = 90 <= c 300``."""
    terms = [f"{name} {plain(values[name])}" for name in link.low]
    if link.plus_s:
        each = f" x {link.each} {plain(values[link.each])}" if link.each else ""
        terms.append(f"{link.plus_s:g} s{each}")
    low, high = link.ends(values)
    total = f" = {plain(low)}" if len(terms) > 1 else ""
    bound = "" if link.share == 1 else f" x {link.share:g} = {plain(link.share * high)}"
    return f"{' + '.join(terms)}{total} <= {link.high} {plain(high)}{bound}"
