"""A report: two periods, and what is to be said of them."""

from dataclasses import dataclass
from enum import StrEnum

from streamproc.operate.report.period import Period


class Source(StrEnum):
    """Where figures come from."""

    TOPICS = "topics"
    PROMETHEUS = "prometheus"


@dataclass(frozen=True, slots=True)
class Report:
    """A period, the one as long before it, and what is out of the ordinary."""

    now: Period
    before: Period
    anomalies: tuple[str, ...]
    unreadable: int | None
    """Records of the output topics that are not ours; None where nobody looked at them."""
    source: Source = Source.TOPICS
    notes: tuple[str, ...] = ()
    """What the source cannot know, and what is missing from it."""
