"""A device whose scores are a pure function of the waveform."""

from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from streamproc.arena import ArenaMap, StaleLeaseError
from streamproc.emotion.device_message import MAX_ITEMS
from streamproc.records.compute import BatchDone, DeviceDied, DeviceEvent, DeviceReady, ItemError, Scored, SegmentHandle
from streamproc.records.embedding import pack
from streamproc.records.identity import ModelIdentity

IDENTITY = ModelIdentity("fake", "0" * 64, "fp32", ("angry", "happy", "neutral", "sad"), embed_dim=4)
_MIN_SAMPLES = 400
"""The network's receptive field."""


def fake_scores(wave: NDArray[np.float32]) -> tuple[float, ...]:
    """Scores that depend on the first samples: normalised, so they sum to 1."""
    head = [sample + 0.01 for sample in wave[: len(IDENTITY.labels)].tolist()]
    total = sum(head)
    return tuple(sample / total for sample in head)


def fake_value(wave: NDArray[np.float32], *, embedding: bool) -> Scored:
    """Its scores, and where that is wanted its first samples as an embedding."""
    return Scored(fake_scores(wave), pack(wave[: IDENTITY.embed_dim]) if embedding else b"")


def read(arena: ArenaMap, item: SegmentHandle) -> NDArray[np.float32] | ItemError:
    """The waveform of one item, or why it cannot be computed. Raises StaleLeaseError for a slot that is not its own."""
    wave = arena.read(item.lease)
    if len(wave) < _MIN_SAMPLES:
        return ItemError(f"{len(wave)} samples are under the {_MIN_SAMPLES} that one frame takes")
    return wave if np.isfinite(wave).all() else ItemError("holds samples that are not finite")


def check_batch(batch: int, items: Sequence[SegmentHandle], unfinished: Collection[int]) -> None:
    """Raise ValueError for a batch that is on the device already, or empty, or over 128 items."""
    if batch in unfinished or not 1 <= len(items) <= MAX_ITEMS:
        raise ValueError(f"batch {batch} of {len(items)} items: a new number and 1 to {MAX_ITEMS} items are needed")


class FakeDevice:
    """Satisfies ``worker.ports.Device``: runs what was submitted when ``take`` is called.

    ``held``      while true no batch runs; may be changed at any time
    ``poisoned``  first samples of waveforms that have no scores
    ``batches``   sizes of the batches that ran
    """

    def __init__(self, arena: ArenaMap, most: int = 4) -> None:
        self.held = False
        self.poisoned: set[float] = set()
        self.batches: list[int] = []
        self._arena = arena
        self._most = most
        self._queue: dict[int, Sequence[SegmentHandle]] = {}
        self._ready = False
        self._measured = False
        self._last_words: int | None = None
        self._blameless = False

    @property
    def waiting(self) -> int:
        """Batches that were submitted and have not run."""
        return len(self._queue)

    def submit(self, batch: int, items: Sequence[SegmentHandle]) -> None:
        """Queue a batch. Raises ValueError for one that breaks the contract."""
        check_batch(batch, items, self._queue)
        self._queue[batch] = items

    def die(self, answered: int = 0, *, blameless: bool = False) -> None:
        """End; the next take says so, after the answers of the first ``answered`` batches. It is ready one later."""
        self._last_words, self._blameless = answered, blameless

    def take(self, now: float) -> Sequence[DeviceEvent]:
        """Events since the last take."""
        del now  # it dies only when told to
        if self._last_words is not None:
            return self._end(self._last_words)
        events: list[DeviceEvent] = []
        if not self._ready:
            self._ready = self._measured = True
            events.append(DeviceReady(IDENTITY))
        if not self.held:
            events += self._run(len(self._queue))
        return events

    def cost(self, lengths: Sequence[int]) -> float:
        """A microsecond a sample. Raises ValueError before it was ready once."""
        self._check_measured()
        return sum(lengths) / 1e6

    def most_items(self, longest: int) -> int:
        """A fixed number, whatever the length. Raises ValueError before it was ready once."""
        del longest
        self._check_measured()
        return self._most

    def _end(self, answered: int) -> list[DeviceEvent]:
        events: list[DeviceEvent] = [*self._run(answered)]
        events.append(DeviceDied(tuple(self._queue), "it was killed", self._blameless))
        self._queue.clear()
        self._ready, self._last_words = False, None
        return events

    def _run(self, count: int) -> list[BatchDone]:
        done = []
        for batch in list(self._queue)[:count]:
            try:
                values = tuple(self._value(item) for item in self._queue[batch])
            except StaleLeaseError:
                self.die()
                break
            self.batches.append(len(self._queue.pop(batch)))
            done.append(BatchDone(batch, values, 0.001))
        return done

    def _value(self, item: SegmentHandle) -> Scored | ItemError:
        wave = read(self._arena, item)
        if isinstance(wave, ItemError):
            return wave
        if float(wave[0]) in self.poisoned:
            return ItemError("the network gave no finite scores")
        return fake_value(wave, embedding=item.embedding)

    def _check_measured(self) -> None:
        if not self._measured:
            raise ValueError("the device is not ready yet: take DeviceReady first")
