"""Prices: the device's time that a recording is predicted to take, before anything of it is known but its length."""

from collections.abc import Callable, Sequence

from streamproc.arena import SAMPLE_RATE, SLOT_SAMPLES

STEP_MS = 100
"""Lengths are rounded up to this: at most a tenth too much for a second of audio."""
SEGMENT_MS = 1000 * SLOT_SAMPLES // SAMPLE_RATE
_STEPS = -(-SEGMENT_MS // STEP_MS)
"""The longest segment."""


class Prices:
    """Seconds by length of a segment, each asked of the device once: it answers hundreds of records in one poll.

    ``cost`` and ``most_items`` are the device's, which has to be ready. A segment is priced as its share of a full
    batch of its kind: whoever is near a limit has enough segments to fill batches.
    """

    def __init__(self, cost: Callable[[Sequence[int]], float], most_items: Callable[[int], int]) -> None:
        self._cost = cost
        self._most_items = most_items
        self._seconds = {0: 0.0}

    def seconds(self, audio_ms: int) -> float:
        """Predict one channel of a recording: longer audio than a segment holds is cut into as few as it can be.

        It is cut where nobody speaks, so there may be more segments, and less audio in them.
        """
        whole, rest = divmod(audio_ms, SEGMENT_MS)
        return whole * self._segment(_STEPS) + self._segment(-(-rest // STEP_MS))

    def _segment(self, steps: int) -> float:
        if steps not in self._seconds:
            samples = min(steps * STEP_MS * SAMPLE_RATE // 1000, SLOT_SAMPLES)
            items = self._most_items(samples)
            self._seconds[steps] = self._cost([samples] * items) / items
        return self._seconds[steps]
