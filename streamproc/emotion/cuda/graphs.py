"""Graphs: passes that were recorded once and are replayed, so that the host launches one thing instead of hundreds."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from streamproc.emotion.cuda.bucket import Bucket
from streamproc.telemetry.log import get_log

log = get_log(__name__)

MOST = 64
"""Graphs that are kept. One holds its input, 4 MB at most, and some 10 MB of the driver's; what they compute in is one
pool for all."""
SEEN = 2
"""A shape is recorded when it comes back: many come once."""
IDLE = 1_000
"""Passes that a graph has not served before it gives way to another. Recording takes as long as some tens of passes:
with more shapes in turn than there is room for, all the time would go into it."""

Pass = Callable[[Tensor], Tensor]
"""[bytes] of ``packed`` on the device -> [items, numbers] float32."""


class Capturer(Protocol):
    """Records what a function launches. CUDA's is ``capture.CudaCapturer``."""

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Run ``work``, which takes nothing from outside and leaves its result where it found it; how to replay it.

        Raises RuntimeError; torch.OutOfMemoryError is one.
        """
        ...

    def finish(self) -> None:
        """Wait until nothing that was replayed runs any more."""
        ...

    def release(self) -> None:
        """Give back the memory of all that was recorded. None of it is replayed again, and nothing more is recorded."""
        ...


@dataclass(slots=True)
class _Graph:
    replay: Callable[[], None]
    packed: Tensor
    """Where the recorded pass reads; [bytes] of a bucket that is full."""
    out: Tensor
    """[items, numbers] float32, where it writes."""
    served: int
    """The turn that it served last."""


class Graphs:
    """The recorded passes of one network, which gives so many ``numbers`` for each clip."""

    def __init__(self, capturer: Capturer, numbers: int, most: int = MOST, idle: int = IDLE) -> None:
        self._capturer = capturer
        self._numbers = numbers
        self._most = most
        self._idle = idle
        self._turn = 0
        self._live: OrderedDict[Bucket, _Graph] = OrderedDict()
        self._seen: dict[Bucket, int] = {}
        self._given_up = False

    def __len__(self) -> int:
        """How many there are."""
        return len(self._live)

    def run(self, bucket: Bucket, packed: Tensor, room: int, work: Pass) -> Tensor | None:
        """The result of ``work`` on ``packed`` by replay, good until the next call; None where there is no graph.

        ``room`` is the bytes of a full bucket. Everything is launched on the current stream, in order.
        """
        self._turn += 1
        graph = self._live.get(bucket) or self._record(bucket, packed, room, work)
        if graph is None:
            return None
        graph.served = self._turn
        self._live.move_to_end(bucket)
        graph.packed[: len(packed)].copy_(packed)
        graph.replay()
        return graph.out

    def give_up(self) -> None:
        """Forget all graphs, give their memory back and record no more: they were to save time, not to take room."""
        self._given_up = True
        self._capturer.finish()
        self._live.clear()
        self._capturer.release()

    def _record(self, bucket: Bucket, packed: Tensor, room: int, work: Pass) -> _Graph | None:
        self._seen[bucket] = seen = self._seen.get(bucket, 0) + 1
        if self._given_up or not bucket.small or seen < SEEN or not self._made_room():
            return None
        try:
            self._live[bucket] = graph = self._captured(bucket, packed, room, work)
        except RuntimeError as error:
            # Not once more: neither a device that cannot record nor one without memory for it changes, and torch may
            # keep the memory of a recording that broke off. What was recorded before stays.
            self._given_up = True
            log.warning("no more passes are recorded, they are launched kernel by kernel", detail=str(error))
            return None
        return graph

    def _made_room(self) -> bool:
        """Whether there is room for one more, if need be by dropping one that has been idle for long."""
        if len(self._live) < self._most:
            return True
        oldest = next(iter(self._live))
        if self._turn - self._live[oldest].served <= self._idle:
            return False
        del self._live[oldest]
        return True

    def _captured(self, bucket: Bucket, packed: Tensor, room: int, work: Pass) -> _Graph:
        static = packed.new_zeros(room)
        static[: len(packed)].copy_(packed)  # the capturer runs it, so its header has to be one
        out = packed.new_empty(bucket.items, self._numbers, dtype=torch.float32)

        def whole() -> None:
            out.copy_(work(static))

        return _Graph(self._capturer.capture(whole), static, out, self._turn)
