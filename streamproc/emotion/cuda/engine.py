"""CudaEngine: the network on an NVIDIA device."""

from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from streamproc.arena import SAMPLE_RATE
from streamproc.emotion.cuda.berth import Berth, PinnedBerth
from streamproc.emotion.cuda.bucket import Bucket, bucket
from streamproc.emotion.cuda.capture import CudaCapturer
from streamproc.emotion.cuda.graphs import Graphs
from streamproc.emotion.cuda.staging import pack, size, unpack
from streamproc.emotion.engine import UNDER_WAY, Passed, Wave
from streamproc.emotion.network import Network, field
from streamproc.emotion.network import frames as frames_of
from streamproc.emotion.torch_errors import translated
from streamproc.errors import FatalError
from streamproc.telemetry.log import get_log

log = get_log(__name__)

BERTHS = UNDER_WAY + 1
"""One pass that is computed, one that waits for it on the device, and one that is packed, copied and launched."""
ATTENTION = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""The fused kernel that takes a bias in every precision. Torch would prefer cuDNN's on Hopper, which takes no fp32 and
builds a plan for each shape that it meets."""


class CudaEngine:
    """The ``Engine`` of a CUDA device. Not for several threads at once, and always under one current stream.

    What is not CUDA's runs anywhere: ``network`` may be on the CPU, with berths and graphs to match.
    """

    def __init__(self, network: Network, berths: Sequence[Berth], graphs: Graphs, max_batch_seconds: float) -> None:
        self._network = network
        self._free = deque(berths)
        self._graphs = graphs
        self._stem = network.config.stem
        self.min_samples = field(1, self._stem)
        self.most_samples = int(max_batch_seconds * SAMPLE_RATE)

    def run(self, waves: Sequence[Wave], *, frames: bool = False) -> Passed:
        """One pass over 1-D float32 waveforms."""
        return self.submit(waves, frames=frames).take()

    def submit(self, waves: Sequence[Wave], *, frames: bool = False) -> "Launched":
        """Pack, copy and launch a pass, and wait for none of it.

        Raises MemoryError when there is no room even once all graphs are gone, FatalError when the device fails,
        FatalError, too, when as many passes as there are berths have not been taken: a mistake of ours.
        """
        with translated():
            try:
                return self._begin(waves, frames=frames)
            except torch.OutOfMemoryError:
                if not len(self._graphs):
                    raise
            # Not while the error is handled: it would hold what the failed pass had computed so far.
            log.warning("device is short of memory, recorded passes are forgotten", count=len(self._graphs))
            self._graphs.give_up()
            return self._begin(waves, frames=frames)

    @torch.inference_mode()
    def _begin(self, waves: Sequence[Wave], *, frames: bool) -> "Launched":
        if not self._free:
            raise FatalError("as many passes as there is room for are under way: take one before the next")
        counts = [frames_of(len(wave), self._stem) for wave in waves]
        shape = bucket(len(waves), max(counts), self._network.config.extra_tokens)
        berth = self._free[0]
        used = pack(waves, shape, self._stem, berth.room(size(shape, sum(map(len, waves)))))
        packed = berth.send(used)
        with self._attention(packed.device):
            found = self._with_frames(packed, shape) if frames else self._alone(packed, shape)
        berth.receive(found[: len(waves)])
        return Launched(self._free.popleft(), self._free, self._network, counts)

    def _alone(self, packed: Tensor, shape: Bucket) -> Tensor:
        """Embeddings and logits, [items, embed_dim + classes]."""
        room = size(shape, shape.items * shape.samples(self._stem))
        found = self._graphs.run(shape, packed, room, lambda p: self._pass(p, shape)[0])
        return self._pass(packed, shape)[0] if found is None else found

    def _with_frames(self, packed: Tensor, shape: Bucket) -> Tensor:
        """The same and all frames behind them: a batch of them is too large to be kept in each graph."""
        numbers, encoded = self._pass(packed, shape)
        return torch.cat([numbers, encoded.float().flatten(1)], 1)

    def _pass(self, packed: Tensor, shape: Bucket) -> tuple[Tensor, Tensor]:
        batch = unpack(packed, shape, self._stem)
        encoded = self._network.encode(batch.waves, batch.frames)
        return torch.cat(self._network.pool(encoded, batch.frames), 1).float(), encoded

    @staticmethod
    def _attention(device: torch.device) -> AbstractContextManager[object]:
        return sdpa_kernel(ATTENTION) if device.type == "cuda" else nullcontext()


@dataclass(frozen=True, slots=True)
class Launched:
    """A pass that was launched. It has to be taken, in the order of submission or any other."""

    berth: Berth
    free: deque[Berth]
    network: Network
    counts: Sequence[int]

    def ready(self) -> bool:
        """Whether ``take`` would not wait."""
        return self.berth.ready()

    def take(self) -> Passed:
        """The values; waits for the device, once. Raises FatalError when it fails."""
        try:
            with translated():
                rows = self.berth.take()
        finally:
            self.free.append(self.berth)
        dim, classes = self.network.config.embed_dim, self.network.config.classes
        encoded = rows[:, dim + classes :].reshape(len(rows), -1, dim)
        own = [clip[:count].copy() for clip, count in zip(encoded, self.counts, strict=True)] if encoded.size else []
        return Passed(np.ascontiguousarray(rows[:, :dim]), np.ascontiguousarray(rows[:, dim : dim + classes]), own)


def open_cuda(network: Network, max_batch_seconds: float) -> CudaEngine:
    """The engine on the current CUDA device, which there must be."""
    # What is stated is what is computed: fp32 is no 10 bits for products or convolutions, and narrower numbers are
    # summed up in fp32. These are switches of the process, which is the device's own.
    torch.backends.cuda.matmul.fp32_precision = "ieee"
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]  # made when it is imported
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
    copies = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch left it without types
    graphs = Graphs(CudaCapturer(), network.config.embed_dim + network.config.classes)
    log.warning(
        "device is experimental, neither speed nor parity is measured on it",
        detail=torch.cuda.get_device_name(),
    )
    return CudaEngine(network.to("cuda"), [PinnedBerth(copies) for _ in range(BERTHS)], graphs, max_batch_seconds)
