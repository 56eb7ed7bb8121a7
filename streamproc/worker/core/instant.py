"""The time that a step is told."""

from typing import NamedTuple


class Instant(NamedTuple):
    """One moment, on both clocks."""

    mono: float
    """Seconds of a clock that only grows: for spans and deadlines."""
    wall_ms: int
    """Milliseconds since the epoch: for what is compared with, or written into, records."""
