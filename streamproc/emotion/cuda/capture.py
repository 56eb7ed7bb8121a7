"""CudaCapturer: CUDA graphs, all in one pool of memory."""

from collections.abc import Callable

import torch


class CudaCapturer:
    """Records on a stream of its own; what it recorded is replayed on whichever stream is current.

    All graphs compute in the same memory, so no two of them may run at a time: they are replayed on one stream.
    """

    def __init__(self) -> None:
        # One stream for warming up and recording. A library's handle and workspace belong to a stream and are made at
        # its first use, which is no thing to record: the memory would belong to the graphs and outlive them.
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch left it without types
        self._pool = torch.cuda.graph_pool_handle()

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """Run ``work`` once, record it once; how to replay it. Raises RuntimeError."""
        present = torch.cuda.current_stream()
        self._stream.wait_stream(present)  # it reads what was launched there last
        with torch.cuda.stream(self._stream):
            work()
        present.wait_stream(self._stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
            work()
        return graph.replay

    def finish(self) -> None:
        """Wait for the device."""
        torch.cuda.synchronize()

    def release(self) -> None:
        """Give the pool back; whoever held a replay has dropped it. Nothing is recorded after that."""
        torch.cuda.empty_cache()
