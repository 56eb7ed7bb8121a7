"""Pace: how fast audio goes through while there is any, and how much of it a record brings."""

HALF_LIFE_S = 120.0
"""Work this long ago counts half: some minutes are remembered, and a change shows within them."""


class Pace:
    """Told of each commit. Time without work does not count: who was idle keeps the speed that it had."""

    def __init__(self) -> None:
        self._worked_s = 0.0
        self._audio_s = 0.0
        self._records = 0.0
        self._until = 0.0

    @property
    def speed(self) -> float | None:
        """Audio-seconds per second of work; None before the first result."""
        return self._audio_s / self._worked_s if self._worked_s and self._audio_s else None

    @property
    def record_s(self) -> float:
        """Audio-seconds of a mean record; 0 before the first."""
        return self._audio_s / self._records if self._records else 0.0

    def committed(self, began: float, now: float, records: int, audio_s: float) -> None:
        """Note a micro-batch that was taken at ``began`` and committed ``now`` (monotonic, s).

        Micro-batches overlap and commit in order: what passed before the last commit was counted with it.
        """
        worked_s = max(0.0, now - max(began, self._until))
        self._until = now
        kept = 0.5 ** (worked_s / HALF_LIFE_S)
        self._worked_s = kept * self._worked_s + worked_s
        self._audio_s = kept * self._audio_s + audio_s
        self._records = kept * self._records + records
