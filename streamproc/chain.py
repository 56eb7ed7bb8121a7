"""The chain of settings: what has to hold between them so that the guarantees do. The check and the docs read it.

A setting is named as in the TOML file. What is merely unwise is not refused; the documentation says it.
"""

from dataclasses import dataclass
from operator import attrgetter


@dataclass(frozen=True, slots=True)
class Link:
    """What ``low`` hold together is at most ``share`` of what ``high`` holds, or below it."""

    low: tuple[str, ...]
    high: str
    otherwise: str
    """What would happen, and to which guarantee."""
    share: float = 1.0
    below: bool = False
    where: tuple[str, str] | None = None
    """A setting and its value: under any other this link is not needed."""

    def broken(self, settings: object) -> str | None:
        """What is wrong and what to change; None while the link holds."""
        if self.where is not None and attrgetter(self.where[0])(settings) != self.where[1]:
            return None
        low, high = self.values(settings)
        # Rounded, so that 20 % of 35.3 is 7.06 and not a hair less.
        spare = round(self.share * high - low, 9)
        if spare > 0 or (spare == 0 and not self.below):
            return None
        names, most, least = " + ".join(self.low), _plain(self.share * high), _plain(low / self.share)
        if self.below:
            said, cure = "is not below", f"lower {names} below {most}, or raise {self.high} above {least}"
        else:
            said, cure = "is over", f"lower {names} to {most} or less, or raise {self.high} to {least} or more"
        return f"{names}={_plain(low)} {said} {self.bound}={_plain(high)}: {self.otherwise}; {cure}"

    def values(self, settings: object) -> tuple[float, float]:
        """What the low end holds, together, and the high end."""
        return sum(float(attrgetter(name)(settings)) for name in self.low), float(attrgetter(self.high)(settings))

    @property
    def bound(self) -> str:
        """The high end, in words."""
        return self.high if self.share == 1 else f"{100 * self.share:g} % of {self.high}"


CHAIN = (
    Link(
        ("kafka.transaction_timeout_s",),
        "flow.drain_s",
        "a stop or a revoke could end before its commit does, and no micro-batch could be cut to fit into it",
        below=True,
    ),
    Link(
        ("flow.drain_s",),
        "kafka.max_poll_interval_s",
        "a revoke could outlast what the group waits for, and lose the partitions that it hands over (G7)",
        share=0.2,
    ),
    Link(
        ("flow.pause_after_s", "flow.linger_s"),
        "kafka.max_poll_interval_s",
        "the polling thread could be silent until its partitions are taken away (G7)",
        share=0.8,
    ),
    Link(
        ("kafka.session_timeout_s",),
        "kafka.max_poll_interval_s",
        "the client starts with no such pair",
        where=("kafka.group_protocol", "classic"),
    ),
    Link(
        ("audio.max_object_bytes",),
        "flow.in_flight_bytes",
        "one accepted recording alone would pass the ceiling (G6)",
    ),
    Link(
        ("audio.min_sample_rate",),
        "audio.max_sample_rate",
        "nothing would be accepted",
    ),
)


def broken_links(settings: object) -> list[str]:
    """What is wrong with each link that does not hold."""
    return [said for link in CHAIN if (said := link.broken(settings)) is not None]


def _plain(number: float) -> str:
    """Bytes in full, seconds without a float's tail."""
    return f"{number:.12g}"
