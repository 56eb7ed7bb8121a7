"""A clock that moves only when it is told to."""


class ManualClock:
    """Satisfies ``telemetry.clock.Clock``; both times move together unless the wall clock is made to jump."""

    def __init__(self, wall_ms: int = 1_700_000_000_000) -> None:
        self._seconds = 0.0
        self._epoch_ms = wall_ms

    def monotonic(self) -> float:
        """Seconds advanced so far."""
        return self._seconds

    def wall_ms(self) -> int:
        """Milliseconds since the epoch."""
        return self._epoch_ms + round(self._seconds * 1000)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass. Raises ValueError for a negative span: monotonic time cannot go back."""
        if seconds < 0:
            raise ValueError(f"monotonic time cannot go back by {-seconds} s")
        self._seconds += seconds

    def jump_wall(self, ms: int) -> None:
        """Move the wall clock alone, in either direction, as an operator or NTP does."""
        self._epoch_ms += ms
