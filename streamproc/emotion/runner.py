"""Runner: the network on one device. Which products it uses is the machine's choice; the numbers are not."""

import time
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from streamproc.arena import SAMPLE_RATE
from streamproc.emotion.engine import Passed, Wave
from streamproc.emotion.network import Block, Network, collate, field
from streamproc.errors import UsageError
from streamproc.telemetry.log import get_log

log = get_log(__name__)

TRIAL_ROWS = 260
"""Tokens of a 5 s clip: the size of product that a lone clip gives."""
TRIALS = 5
GAIN = 0.9
"""Packed weights are a second copy in memory, so a tie goes to the plain ones."""


class PackedLinear(nn.Module):
    """A linear layer whose weight oneDNN has laid out for its own kernel, once.

    On AMD parts this is about twice as fast as the library that torch asks otherwise, on Intel parts it is equal.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(linear.weight, TRIAL_ROWS)  # noqa: SLF001  # torch has no public name for it; `fastest` falls back where it is gone
        self._bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out]."""
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x.contiguous(), self._weight, self._bias, "none", [], "")  # noqa: SLF001  # same
        return out


class Runner:
    """Waveforms to embeddings, logits and frames. Not for several threads at once."""

    def __init__(self, network: Network, device: str, max_batch_seconds: float) -> None:
        self._device = choose_device(device)
        self._network = network.to(self._device)
        self.min_samples = field(1, network.config.stem)
        alone = self._device.type == "cpu"
        self.most_samples = 0 if alone else int(max_batch_seconds * SAMPLE_RATE)
        if alone:
            pack_if_faster(self._network)
        else:
            # cuDNN rounds convolutions to 10 bits by default; the precision that we state is fp32.
            torch.backends.cudnn.allow_tf32 = False
            log.warning("device is experimental, neither speed nor parity is measured on it", detail=str(self._device))

    @torch.inference_mode()
    def run(self, waves: Sequence[Wave], *, frames: bool = False) -> Passed:
        """One pass over 1-D float32 waveforms."""
        # A view that is read-only or runs backwards is somebody's good right; torch wants neither.
        tensors = [torch.from_numpy(np.require(wave, np.float32, ["C", "W"])) for wave in waves]
        batch, counts = collate(tensors, self._network.config.stem)
        encoded = self._network.encode(batch.to(self._device), counts)
        embeddings, logits = self._network.pool(encoded, counts)
        # Copies: a view of one clip would keep the whole batch in memory.
        own = [encoded[i, :count].cpu().numpy().copy() for i, count in enumerate(counts.tolist())] if frames else []
        return Passed(embeddings.cpu().numpy(), logits.cpu().numpy(), own)


def choose_device(name: str) -> torch.device:
    """``auto`` takes the CPU: CUDA is not measured, so it has to be named. Raises UsageError where there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "model.device is cuda, but torch finds no CUDA device: install a driver or set it to auto or cpu"
        )
    return torch.device("cuda" if name == "cuda" else "cpu")


def pack_if_faster(network: Network) -> None:
    """Replace the blocks' linear layers by packed ones where a short trial finds them faster."""
    blocks = [block for block in network.blocks if isinstance(block, Block)]
    if not blocks or not packed_is_faster(blocks[0].fc1):
        return
    for block in blocks:
        for name in ("qkv", "proj", "fc1", "fc2"):
            setattr(block, name, PackedLinear(getattr(block, name)))


@torch.inference_mode()
def packed_is_faster(linear: nn.Linear) -> bool:
    """Time both on this machine, turn by turn, and compare their best."""
    rows = torch.ones(TRIAL_ROWS, linear.in_features)
    try:
        packed = PackedLinear(linear)
        packed(rows)
    except (AttributeError, NotImplementedError, RuntimeError):
        return False  # this build of torch has no oneDNN, or no longer these operations
    linear(rows)
    turns = [(_seconds(linear, rows), _seconds(packed, rows)) for _ in range(TRIALS)]
    return min(p for _, p in turns) < GAIN * min(plain for plain, _ in turns)


def _seconds(layer: Callable[[Tensor], Tensor], rows: Tensor) -> float:
    start = time.perf_counter()
    layer(rows)
    return time.perf_counter() - start
