"""Runner: the network on the CPU. Which products it uses is the machine's choice; the numbers are not."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import nn

from streamproc.emotion.choice import ROWS, Timing, choose, choose_attention, made, noise
from streamproc.emotion.engine import Passed, Wave
from streamproc.emotion.half import BF16
from streamproc.emotion.int8 import INT8
from streamproc.emotion.linears import AROUND, FP32, SHARED, Kind, plain
from streamproc.emotion.network import Block, Network, StemLayer, collate, field
from streamproc.emotion.network import frames as frames_of
from streamproc.emotion.onednn import PackedConvolution
from streamproc.emotion.pages import Pages
from streamproc.emotion.precision import Precision
from streamproc.emotion.torch_errors import translated
from streamproc.errors import UsageError
from streamproc.telemetry.log import get_log

log = get_log(__name__)

CPU_KINDS: Mapping[Precision, Mapping[str, Kind]] = {
    Precision.FP32: FP32,
    Precision.BF16: BF16,
    Precision.INT8: INT8,
}
"""What the blocks' linear layers may be. The stem stays fp32 on a CPU, where it gains less than it would lose."""

STEM_FRAMES = 100
"""Spans of 2 s: what the stem's first layer makes of one, 13 MB, still lies in a cache when the next layer reads it."""
PACKERS = 2
"""Weights that are laid out at once. Libraries do it with one thread, half as fast as memory is with two; some make as
many more as there are cores for each that asks, so no more of those."""
TOKENS_OF = 4
"""Some other counts, as the 259 of a clip of 5 s, cost oneDNN's products up to a fifth more."""


class Runner:
    """Waveforms to embeddings, logits and frames, each alone. Not for several threads at once.

    The network becomes the runner's own: it is changed (``fit``). ``kinds`` are what a CPU may choose from for the
    blocks' linear layers: equal numbers, within one precision's bound. With ``share`` the weights stay where they are,
    which is for fp32.
    """

    most_samples = 0

    def __init__(self, network: Network, kinds: Mapping[str, Kind] = FP32, *, share: bool = False) -> None:
        self._network = network
        self.min_samples = field(1, network.config.stem)
        self.choices: Sequence[object] = fit(network, SHARED if share else kinds, SHARED if share else AROUND)
        """What was chosen on this machine, and from what."""
        network.stem_frames, network.tokens_of = STEM_FRAMES, TOKENS_OF

    @torch.inference_mode()
    def run(self, waves: Sequence[Wave], *, frames: bool = False) -> Passed:
        """One pass over 1-D float32 waveforms."""
        with translated():
            return self._run(waves, frames=frames)

    @torch.inference_mode()
    def blocks_s(self, samples: int) -> float:
        """Time one block and multiply."""
        config = self._network.config
        count = torch.tensor([frames_of(samples, config.stem)])
        bias = self._network.bias(count, int(count))
        x = torch.linspace(-1, 1, bias.tokens * config.embed_dim)
        x = x.view(1, bias.tokens, config.embed_dim)
        start = time.perf_counter()
        self._network.blocks[0](x, bias)
        return len(self._network.blocks) * (time.perf_counter() - start)

    def _run(self, waves: Sequence[Wave], *, frames: bool) -> Passed:
        # A view that is read-only or runs backwards is somebody's good right; torch wants neither.
        tensors = [torch.from_numpy(np.require(wave, np.float32, ["C", "W"])) for wave in waves]
        batch, counts = collate(tensors, self._network.config.stem)
        encoded = self._network.encode(batch, counts)
        embeddings, logits = self._network.pool(encoded, counts)
        # Copies: a view of one clip would keep the whole batch in memory.
        own = [encoded[i, :count].numpy().copy() for i, count in enumerate(counts.tolist())] if frames else []
        return Passed(embeddings.numpy(), logits.numpy(), own)


def choose_device(name: str) -> torch.device:
    """``auto`` takes the CPU: CUDA is not measured, so it has to be named. Raises UsageError where there is none."""
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError(
            "model.device is cuda, but torch finds no CUDA device: install a driver or set it to auto or cpu"
        )
    return torch.device("cuda" if name == "cuda" else "cpu")


def fit(network: Network, kinds: Mapping[str, Kind], around_kinds: Mapping[str, Kind] = AROUND) -> Sequence[Timing]:
    """Make the network's products of the kind that this machine runs fastest, and say which.

    ``kinds`` are the blocks'. What is around them is fp32 always, of ``around_kinds``; where oneDNN is taken there, it
    is for the convolutions, too. Raises ValueError for a network that was fitted.
    """
    if network.fitted:
        raise ValueError("this network is fitted already: give each runner one of its own")
    network.fitted = True
    blocks = [block for block in network.blocks if isinstance(block, Block)]
    sample = blocks[0].qkv  # no larger one, since each start waits for its trial, and no smaller: it would fit a cache
    blocks_are, around_is = choose({"of the blocks": kinds, "around them": around_kinds}, sample)
    attention = choose_attention(network.config.embed_dim // network.config.heads)
    pages = Pages.here()
    _fit_blocks(blocks, blocks_are.way, pages)
    for block in blocks:
        block.attention = attention.way
    if around_is.way is not plain:
        _fit_around(network, around_is.way, pages)
    if blocks_are.way is not plain:
        # What is left of the weights file, norms and biases, would keep all of it mapped: let it go.
        for parameter in network.parameters():
            parameter.data = parameter.data.clone()
    timings = (blocks_are.timing, around_is.timing, attention.timing)
    for timing in timings:
        log.info("the fastest of equals is chosen", detail=str(timing))
    return timings


def _fit_blocks(blocks: Sequence[Block], kind: Kind, pages: Pages) -> None:
    names = ("qkv", "proj", "fc1", "fc2")
    with ThreadPoolExecutor(min(PACKERS, torch.get_num_threads())) as threads:
        for done in [threads.submit(_replace, block, name, kind, pages) for block in blocks for name in names]:
            done.result()


def _fit_around(network: Network, kind: Kind, pages: Pages) -> None:
    """Replace the products before and after the blocks, and the convolutions."""
    _replace(network, "feature_proj", kind, pages)
    for layer in network.stem:
        if isinstance(layer, StemLayer):
            layer.products = nn.ModuleList(map(kind, layer.linears()))
            layer.weight = nn.Parameter(layer.weight.new_empty(0), requires_grad=False)  # its type is still asked for
    first, *others = (layer for layer in network.positions if isinstance(layer, nn.Conv1d))
    with torch.inference_mode():
        rows = noise(1, ROWS, network.config.embed_dim).transpose(1, 2)
        packed = made(PackedConvolution, first, rows, first(rows))
    if packed is not None:  # torch may lose these operations one by one
        network.positions = nn.ModuleList([packed, *map(PackedConvolution, others)])


def _replace(module: nn.Module, name: str, kind: Kind, pages: Pages) -> None:
    """Lay one layer's weight out anew, and give back what the file's takes."""
    linear = getattr(module, name)
    setattr(module, name, kind(linear))
    if kind is not plain:
        pages.let_go(linear.weight)
