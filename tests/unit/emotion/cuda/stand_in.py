"""A device that is the host: what does not need CUDA runs here, on real numbers."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamproc.emotion.cuda.engine import CudaEngine
from streamproc.emotion.cuda.graphs import Graphs
from streamproc.emotion.network import Network

Wave = NDArray[np.float32]


class PlainBerth:
    """Ordinary memory: sending is a copy, so that a pass cannot read what is packed next."""

    def __init__(self) -> None:
        self._host = np.empty(0, np.uint8)
        self._found: Wave | None = None

    def room(self, size: int) -> NDArray[np.uint8]:
        assert self._found is None, "the pass before was not taken"
        if len(self._host) < size:
            self._host = np.full(size, 0xFF, np.uint8)  # as floats, NaN: nobody may read what was not packed
        return self._host

    def send(self, used: int) -> Tensor:
        return torch.from_numpy(self._host[:used].copy())

    def receive(self, found: Tensor) -> None:
        self._found = found.numpy().copy()

    def ready(self) -> bool:
        return self._found is not None

    def take(self) -> Wave:
        assert self._found is not None
        found, self._found = self._found, None
        return found


class RunsAgain:
    """A capturer without a device: replaying runs the work again, on whatever now lies where it was recorded."""

    def __init__(self) -> None:
        self.recorded = 0
        self.replayed = 0
        self.calls: list[str] = []
        self.error: Exception | None = None

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        work()
        if self.error is not None:
            raise self.error
        self.recorded += 1

        def replay() -> None:
            self.replayed += 1
            work()

        return replay

    def finish(self) -> None:
        self.calls.append("finish")

    def release(self) -> None:
        self.calls.append("release")


def on_host(network: Network, capturer: RunsAgain) -> CudaEngine:
    """The engine with the host for its device."""
    graphs = Graphs(capturer, network.config.embed_dim + network.config.classes)
    return CudaEngine(network, [PlainBerth(), PlainBerth()], graphs, 60)
