"""Which records a connector was told to pass over: kept in its configuration, where a later reading finds them."""

from collections.abc import Iterable, Mapping, Sequence

from streamproc.operate.place import Place, parse_place

SKIPPED = "streamproc.skipped"
"""The entry of the configuration. The sink does not know it, and does not mind."""


def skipped(config: Mapping[str, str]) -> Sequence[Place]:
    """The places of a configuration, in order. Raises UsageError for what a hand has made of them."""
    return sorted(map(parse_place, config.get(SKIPPED, "").split()))


def with_skipped(config: Mapping[str, str], places: Iterable[Place]) -> Mapping[str, str]:
    """A configuration with exactly these places."""
    told = " ".join(map(str, sorted(set(places))))
    return {name: value for name, value in config.items() if name != SKIPPED} | ({SKIPPED: told} if told else {})
