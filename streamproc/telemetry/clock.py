"""Time as a parameter: stages are told what time it is, so that a simulator can play any schedule."""

import time
from typing import Protocol


class Clock(Protocol):
    """The two times that the product uses."""

    def monotonic(self) -> float:
        """Seconds that only ever grow, for spans and deadlines. The origin means nothing."""
        ...

    def wall_ms(self) -> int:
        """Milliseconds since the epoch, for what is written into records. May jump."""
        ...


class SystemClock:
    """The clocks of this computer."""

    def monotonic(self) -> float:
        """Seconds of CLOCK_MONOTONIC."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Milliseconds since the epoch."""
        return time.time_ns() // 1_000_000
