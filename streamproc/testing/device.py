"""A device whose scores are a pure function of the waveform."""

from collections import deque
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamproc.arena import ArenaMap, StaleLeaseError
from streamproc.records.compute import BatchDone, DeviceDied, DeviceEvent, DeviceReady, ItemError, SegmentHandle
from streamproc.records.identity import ModelIdentity

IDENTITY = ModelIdentity("fake", "0" * 64, "fp32", ("angry", "happy", "neutral", "sad"))


def fake_scores(wave: NDArray[np.float32]) -> tuple[float, ...]:
    """Scores that depend on the first samples: normalised, so they sum to 1."""
    head = wave[: len(IDENTITY.labels)].astype(float) + 0.01
    return tuple(float(x) for x in head / head.sum())


class FakeDevice:
    """Runs a batch when ``take`` is called, unless ``held``; ``die`` loses what is on it."""

    def __init__(self, arena: ArenaMap, most: int = 4) -> None:
        self._arena = arena
        self._most = most
        self._queue: deque[tuple[int, Sequence[SegmentHandle]]] = deque()
        self._events: deque[DeviceEvent] = deque([DeviceReady(IDENTITY)])
        self.held = False
        self.poisoned: set[float] = set()
        """First samples of waveforms that have no scores."""
        self.batches: list[int] = []
        """Sizes of the batches that ran."""

    @property
    def waiting(self) -> int:
        """Batches that were submitted and have not run."""
        return len(self._queue)

    def submit(self, batch: int, items: Sequence[SegmentHandle]) -> None:
        """Queue a batch."""
        self._queue.append((batch, items))

    def die(self) -> None:
        """Lose every batch and come back."""
        lost = tuple(batch for batch, _ in self._queue)
        self._queue.clear()
        self._events += [DeviceDied(lost, "killed"), DeviceReady(IDENTITY)]

    def take(self, now: float) -> Sequence[DeviceEvent]:
        """Events since the last take."""
        del now  # it dies only when told to
        while self._queue and not self.held:
            batch, items = self._queue.popleft()
            self.batches.append(len(items))
            self._events.append(BatchDone(batch, tuple(self._score(item) for item in items), 0.001))
        events, self._events = self._events, deque()
        return events

    def cost(self, lengths: Sequence[int]) -> float:
        """A microsecond a sample."""
        return sum(lengths) / 1e6

    def most_items(self, longest: int) -> int:
        """A fixed number, whatever the length."""
        del longest
        return self._most

    def _score(self, item: SegmentHandle) -> tuple[float, ...] | ItemError:
        try:
            wave = self._arena.read(item.lease)
        except StaleLeaseError as error:
            return ItemError(str(error))
        if float(wave[0]) in self.poisoned:
            return ItemError("scores are not finite")
        return fake_scores(wave)
