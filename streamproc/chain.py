"""The chain of settings: what has to hold between them so that the guarantees do. The check and the docs read it.

A setting is named as in the TOML file. What is merely unwise is not refused; the documentation says it.
"""

from dataclasses import dataclass
from operator import attrgetter

START_EXTRA_S = 15.0
"""Past the transaction timeout, to learn where partitions start: the broker looks for timed-out transactions every
10 s."""
LEAST_MICRO_BATCH_S = 0.25
"""Of the device's time. A commit takes about 30 ms (docs/benchmarks.md), and they come one after the other: cut shorter
than this, down to single records, micro-batches would spend more than a tenth of the time on committing."""
_COMMIT_S = "kafka.transaction_timeout_s"


@dataclass(frozen=True, slots=True)
class Link:
    """What ``low`` hold together is at most ``share`` of what ``high`` holds."""

    low: tuple[str, ...]
    high: str
    otherwise: str
    """What would happen, and to which guarantee."""
    share: float = 1.0
    plus_s: float = 0.0
    """Seconds that come on top of ``low``."""
    each: str | None = None
    """A setting that counts what ``plus_s`` is for; None means once."""
    where: tuple[str, str] | None = None
    """A setting and its value: under any other this link is not needed."""

    def broken(self, settings: object) -> str | None:
        """What is wrong and what to change; None while the link holds."""
        if self.where is not None and attrgetter(self.where[0])(settings) != self.where[1]:
            return None
        low, high = self.values(settings)
        # Rounded, so that 20 % of 35.3 is 7.06 and not a hair less.
        if round(self.share * high - low, 9) >= 0:
            return None
        names = " + ".join(self.low)
        lower = f"lower {names} to {_plain(most)} or less, or " if (most := self._most(settings)) > 0 else ""
        over = f"={_plain(low)} is" if self.sum == self.low[0] else f" make {_plain(low)},"
        said = f"{self.sum}{over} over {self.bound}={_plain(high)}: {self.otherwise}"
        return f"{said}; {lower}raise {self.high} to {_plain(low / self.share)} or more{self._meant(settings)}"

    def values(self, settings: object) -> tuple[float, float]:
        """What the low end holds, all together, and the high end."""
        low = sum(float(attrgetter(name)(settings)) for name in self.low)
        return low + self._plus(settings), float(attrgetter(self.high)(settings))

    @property
    def sum(self) -> str:
        """The low end, in words."""
        plus = f"{_plain(self.plus_s)} s" + (f" for each of {self.each}" if self.each else "")
        return " + ".join([*self.low, *([plus] if self.plus_s else [])])

    @property
    def bound(self) -> str:
        """The high end, in words."""
        return self.high if self.share == 1 else f"{100 * self.share:g} % of {self.high}"

    def _plus(self, settings: object) -> float:
        return self.plus_s * (float(attrgetter(self.each)(settings)) if self.each else 1)

    def _most(self, settings: object) -> float:
        """What the settings of the low end may hold."""
        return self.share * float(attrgetter(self.high)(settings)) - self._plus(settings)

    def _meant(self, settings: object) -> str:
        """What a setting means that is named after what this delivery does not have."""
        if _COMMIT_S in self.low and attrgetter("kafka.delivery")(settings) == "at_least_once":
            return f" (with at_least_once {_COMMIT_S} is the longest time that writing the rows of a commit may take)"
        return ""


CHAIN = (
    Link(
        (_COMMIT_S,),
        "flow.drain_s",
        "a stop or a revoke could end before its commit does, and the time that a drain has beside it would be too "
        "short for micro-batches of more than single records",
        plus_s=LEAST_MICRO_BATCH_S,
        each="flow.micro_batches",
    ),
    Link(
        (_COMMIT_S, "flow.drain_s"),
        "kafka.max_poll_interval_s",
        "a member that asks where its partitions start, and only then hears of others that it has to give back, could "
        "lose them all (G7)",
        plus_s=START_EXTRA_S,
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
