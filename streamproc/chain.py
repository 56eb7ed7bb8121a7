"""The chain of settings: what has to hold between them so that the guarantees do. The check and the docs read it.

A setting is named as in the TOML file. What is merely unwise is not refused; the documentation says it.
"""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from operator import attrgetter

Values = Mapping[str, object]
"""What settings hold, by name, as in ``flow.drain_s``."""

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

    @property
    def names(self) -> tuple[str, ...]:
        """Every setting that has to do with it."""
        return (*self.low, self.high, *([self.each] if self.each else []), *(self.where[:1] if self.where else []))

    def broken(self, values: Values) -> bool:
        """Whether it is needed and does not hold."""
        if self.where is not None and values[self.where[0]] != self.where[1]:
            return False
        low, high = self.ends(values)
        # Rounded, so that 20 % of 35.3 is 7.06 and not a hair less.
        return round(self.share * high - low, 9) < 0

    def ends(self, values: Values) -> tuple[float, float]:
        """What the low end holds, all together, and the high end."""
        plus = self.plus_s * (number(values[self.each]) if self.each else 1)
        return sum(number(values[name]) for name in self.low) + plus, number(values[self.high])

    def said(self, values: Values, origin: Callable[[str], str]) -> str:
        """What is wrong, while it is broken. ``origin`` gives what is said behind a value: where it comes from."""

        def told(name: str) -> str:
            return f"{name}={plain(values[name])}{origin(name)}"

        plus = f"{self.plus_s:g} s" + (f" for each of {told(self.each)}" if self.each else "")
        terms = [*map(told, self.low), *([plus] if self.plus_s else [])]
        over = f" make {plain(self.ends(values)[0])}, over " if len(terms) > 1 else " is over "
        bound = "" if self.share == 1 else f"{100 * self.share:g} % of "
        return f"{' + '.join(terms)}{over}{bound}{told(self.high)}: {self.otherwise}{self._meant(values)}"

    def lowered(self, values: Values, free: frozenset[str]) -> tuple[str, float] | None:
        """The largest of the low end that may be changed, as low as this link wants it; None where that is no way."""
        low, high = self.ends(values)
        name = max(free & set(self.low), key=lambda one: number(values[one]), default=None)
        if name is None:
            return None
        most = -_ceil(low - self.share * high - number(values[name]))
        return (name, most) if most > 0 else None

    def raised(self, values: Values) -> tuple[str, float]:
        """The high end, as high as this link wants it."""
        return self.high, _ceil(self.ends(values)[0] / self.share)

    @property
    def sum(self) -> str:
        """The low end, in words."""
        plus = f"{self.plus_s:g} s" + (f" for each of {self.each}" if self.each else "")
        return " + ".join([*self.low, *([plus] if self.plus_s else [])])

    @property
    def bound(self) -> str:
        """The high end, in words."""
        return self.high if self.share == 1 else f"{100 * self.share:g} % of {self.high}"

    def _meant(self, values: Values) -> str:
        """What a setting means that is named after what this delivery does not have."""
        if _COMMIT_S in self.low and values["kafka.delivery"] == "at_least_once":
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


NAMES = frozenset({"kafka.delivery", *(name for link in CHAIN for name in link.names)})
"""Every setting that has to do with the chain."""
ROUNDS = 20
"""More than any mending takes that comes to an end: it passes the chain once for each of its levels."""


def values_of(settings: object) -> Values:
    """What the chain needs to know."""
    return {name: attrgetter(name)(settings) for name in NAMES}


def broken_links(values: Values) -> list[Link]:
    """The links that do not hold."""
    return [link for link in CHAIN if link.broken(values)]


def mend(values: Values, given: Collection[str]) -> Mapping[str, float]:
    """What to change so that the whole chain holds: new values by setting; nothing where it does.

    What was ``given`` is kept where the rest can be lowered to fit; else what is too low is raised. The high end of a
    link is the low end of later ones only, so raising alone comes to an end.
    """
    for free in (NAMES - set(given), frozenset[str]()):
        changed: dict[str, float] = {}
        for _ in range(ROUNDS):
            now = {**values, **changed}
            broken = broken_links(now)
            if not broken:
                return changed
            name, value = broken[0].lowered(now, free) or broken[0].raised(now)
            changed[name] = value
    raise RuntimeError("the chain of settings has no end")


def number(value: object) -> float:
    """A setting that is a number."""
    if not isinstance(value, int | float):
        raise TypeError(f"the chain is of numbers, not {value!r}")
    return value


def plain(value: object) -> str:
    """A number without a float's tail; whole ones in full, however large."""
    known = number(value)
    return str(int(known)) if known == int(known) else f"{known:.15g}"


def _ceil(value: float) -> float:
    """Up to the next millionth, where a float's own tail counts for nothing."""
    return value if value == int(value) else math.ceil(round(1e6 * value, 4)) / 1e6
