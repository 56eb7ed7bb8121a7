"""The emotion2vec+ network, batch-invariant: a clip's numbers do not depend on what shares its batch.

The graph is FunASR's ``Emotion2vec`` at inference (Ma et al., arXiv:2312.15185): a convolutional stem, relative
positions by stacked convolutions, post-norm transformer blocks with ALiBi, mean pooling, a linear head. Tensors are
laid out [batch, time, channels] throughout, so the strided convolutions are plain matrix products on reshaped views.

A padded batch equals its clips run alone because of five rules, marked where they act:

1. a waveform is normalised over its own samples, before it is padded;
2. the stem's convolutions are unpadded, so the frames of a clip never see its padding: nothing to mask;
3. frames past a clip's end are zero before *every* positional convolution, as a lone clip's zero padding is;
4. keys past a clip's end get -inf in every attention;
5. the mean runs over a clip's own frames.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

NORM_EPS = 1e-5
STEM_FRAMES = 1500
"""The stem works through a waveform in spans of 30 s: its first layer takes 6.5 MB for each audio-second."""
BIAS_ENTRIES = 1 << 20
"""Attention runs over so many (query, key) pairs of one head at a time: all of a 20 s clip, 64 MB with 16 heads."""


class Convolution(NamedTuple):
    """One layer of the stem."""

    channels: int
    kernel: int
    stride: int


PUBLISHED_STEM = (
    Convolution(512, 10, 5),
    *(Convolution(512, 3, 2),) * 4,
    *(Convolution(512, 2, 2),) * 2,
)


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The shape of a network. The values of plus_large: 1024, 16, 4, 8, 9 and the defaults."""

    embed_dim: int
    heads: int
    context_blocks: int
    main_blocks: int
    classes: int
    extra_tokens: int = 10
    pos_depth: int = 5
    pos_width: int = 95
    pos_groups: int = 16
    stem: tuple[Convolution, ...] = PUBLISHED_STEM
    norm_eps: float = NORM_EPS
    """Of the norms of blocks and context; the stem's and the positions' are ``NORM_EPS`` always, as in FunASR."""

    def __post_init__(self) -> None:
        """Raise ValueError for a shape that is no network."""
        counts = (self.embed_dim, self.heads, self.context_blocks + self.main_blocks, self.classes)
        if min(*counts, self.pos_depth, self.pos_groups, *(n for layer in self.stem for n in layer)) < 1:
            raise ValueError("every size of a network is at least 1")
        if min(self.context_blocks, self.main_blocks, self.extra_tokens) < 0:
            raise ValueError("no count of blocks or tokens is negative")
        if self.embed_dim % self.heads or self.embed_dim % self.pos_groups:
            raise ValueError(
                f"embed_dim {self.embed_dim} is no multiple of {self.heads} heads, {self.pos_groups} groups"
            )
        if self.pos_kernel % 2 == 0:
            raise ValueError(f"a positional kernel of {self.pos_kernel} has no middle")

    @property
    def pos_kernel(self) -> int:
        """Kernel of each positional convolution: FunASR shares the width among the layers."""
        return max(3, self.pos_width // self.pos_depth)


def frames(samples: int, stem: Sequence[Convolution] = PUBLISHED_STEM) -> int:
    """How many frames the stem makes of so many samples; 0 or less when they are too few for one."""
    for _, kernel, stride in stem:
        samples = (samples - kernel) // stride + 1
    return samples


def field(count: int, stem: Sequence[Convolution] = PUBLISHED_STEM) -> int:
    """How many samples ``count`` frames look at: the inverse of ``frames``. One frame of the published stem: 400."""
    for _, kernel, stride in reversed(stem):
        count = (count - 1) * stride + kernel
    return count


def collate(waves: Sequence[Tensor], stem: Sequence[Convolution] = PUBLISHED_STEM) -> tuple[Tensor, Tensor]:
    """Make a batch of waveforms (1-D, 16 kHz): [batch, samples] normalised and padded, and [batch] frame counts."""
    batch = waves[0].new_zeros(len(waves), max(len(wave) for wave in waves))
    for row, wave in zip(batch, waves, strict=True):
        # Rule 1: mean and variance are the clip's own; padding comes after and takes no part. Silence becomes zeros.
        row[: len(wave)] = functional.layer_norm(wave, wave.shape, eps=NORM_EPS)
    return batch, torch.tensor([frames(len(wave), stem) for wave in waves])


def slopes(heads: int) -> list[float]:
    """ALiBi's slope of each head (Press et al., arXiv:2108.12409).

    ``2^(-8 (h + 1) / heads)`` for powers of two; other counts take the slopes of the power below, then every second
    one of the power above, as the paper's code does.
    """
    power = 2 ** math.floor(math.log2(heads))
    whole = [2.0 ** (-8 * (head + 1) / power) for head in range(power)]
    return whole if power == heads else whole + slopes(2 * power)[0::2][: heads - power]


class StemLayer(nn.Module):
    """Convolution without bias or padding, norm over channels, GELU.

    ``weight`` is [channels, kernel * inputs], tap by tap: the layout of the matrix product itself, so there is no
    derived copy that training would leave stale.
    """

    def __init__(self, inputs: int, shape: Convolution) -> None:
        super().__init__()
        self.shape = shape
        self.weight = nn.Parameter(torch.empty(shape.channels, shape.kernel * inputs))
        self.norm = nn.LayerNorm(shape.channels, eps=NORM_EPS)
        # The first `stride` taps of all windows do not overlap: together they are a view of x, which costs nothing.
        view = shape.stride if inputs > 1 and shape.kernel >= shape.stride else 0
        self._view = view
        self._cuts = [taps * inputs for taps in (view, shape.kernel - view) if taps]
        self.products = nn.ModuleList()
        """Faster equals of ``linears``; none: the weight itself."""

    def linears(self) -> list[nn.Linear]:
        """The layer's products, whose sum it is, as layers that share its weight."""
        return [_linear(part) for part in torch.split(self.weight.detach(), self._cuts, 1)]

    def forward(self, x: Tensor) -> Tensor:
        """[B, L, inputs] -> [B, (L - kernel) // stride + 1, channels]."""
        # Rule 2: no padding here, so what is computed past a clip's end stays past its end.
        taps = self._taps(x.to(self.weight.dtype))
        if self.products:
            parts = [product(part) for product, part in zip(self.products, taps, strict=True)]
        else:
            parts = list(map(functional.linear, taps, torch.split(self.weight, self._cuts, 1)))
        for part in parts[1:]:
            parts[0].add_(part)
        return _gelu(self.norm(parts[0].float()))

    def _taps(self, x: Tensor) -> list[Tensor]:
        """What each product is of: [B, L, inputs] -> [B, (L - kernel) // stride + 1, taps * inputs] each."""
        _, kernel, stride = self.shape
        batch, length, _ = x.shape
        count = (length - kernel) // stride + 1
        taps = [x[:, : stride * count].reshape(batch, count, self._cuts[0])] if self._view else []
        if kernel > self._view:
            windows = x[:, self._view :].unfold(1, kernel - self._view, stride)[:, :count]
            taps.append(windows.transpose(2, 3).flatten(2))
        return taps


def _gelu(x: Tensor) -> Tensor:
    """GELU of what nobody else needs: in its place, unless gradients need it."""
    out: Tensor = functional.gelu(x) if torch.is_grad_enabled() else torch.ops.aten.gelu_(x)
    return out


def _linear(weight: Tensor) -> nn.Linear:
    """A layer without bias around a weight that it shares."""
    with torch.device("meta"):
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    linear.weight = nn.Parameter(weight, requires_grad=False)
    return linear


class Bias:
    """ALiBi and the clips' ends as one additive attention bias, made row by row of queries where it would be large."""

    def __init__(
        self, slopes: Tensor, extra: int, frames: Tensor, longest: int, dtype: torch.dtype = torch.float32
    ) -> None:
        self.tokens = extra + longest
        self._slopes = slopes.view(-1, 1, 1)
        self._dtype = dtype
        position = torch.arange(self.tokens, device=slopes.device) - extra
        self._position = position.to(slopes.dtype)
        self._real = position >= 0
        # Who keeps the counts on an accelerator would wait for it here, so there all clips are taken for ragged.
        ragged = frames.device.type != "cpu" or int(frames.min()) < longest
        # Rule 4: no query may see a key past its clip's end.
        self._ended = (position >= frames[:, None].to(slopes.device))[:, None, None, :] if ragged else None
        self.rows = min(self.tokens, max(1, BIAS_ENTRIES // self.tokens))
        self._whole = self._make(0, self.tokens) if self.rows == self.tokens else None

    def __getitem__(self, queries: slice) -> Tensor:
        """[batch or 1, heads, queries, tokens]."""
        return self._make(queries.start, queries.stop) if self._whole is None else self._whole

    def _make(self, start: int, stop: int) -> Tensor:
        distance = (self._position[start:stop, None] - self._position).abs()
        # Extra tokens have no place in time: their rows and columns are 0.
        distance = distance * (self._real[start:stop, None] & self._real)
        bias = (-self._slopes * distance)[None].to(self._dtype)
        return bias if self._ended is None else bias.masked_fill(self._ended, -math.inf)


Attention = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Query, key, value [B, heads, tokens, D], bias [B or 1, heads, tokens of the query, tokens] -> like the query."""


class Block(nn.Module):
    """A post-norm transformer block. Its linear layers and its ``attention`` may be replaced by faster equals."""

    def __init__(self, dim: int, heads: int, eps: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim, eps)
        self.norm2 = nn.LayerNorm(dim, eps)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)
        self.attention: Attention = functional.scaled_dot_product_attention

    def forward(self, x: Tensor, bias: Bias) -> Tensor:
        """[B, tokens, dim] -> the same."""
        x = self.norm1(self.proj(self._attend(x, bias)).add_(x))
        out: Tensor = self.norm2(self.fc2(_gelu(self.fc1(x))).add_(x))
        return out

    def _attend(self, x: Tensor, bias: Bias) -> Tensor:
        batch, tokens, dim = x.shape
        parts = self.qkv(x).view(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        spans = (slice(start, min(start + bias.rows, tokens)) for start in range(0, tokens, bias.rows))
        attended = [self.attention(query[:, :, span], key, value, bias[span]) for span in spans]
        whole = attended[0] if len(attended) == 1 else torch.cat(attended, 2)
        return whole.transpose(1, 2).reshape(batch, tokens, dim)


class Network(nn.Module):
    """emotion2vec+ of any shape. Parameters are uninitialised: ``checkpoint`` fills them, or whoever trains does."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.slopes: Tensor
        self.stem_frames = STEM_FRAMES
        self.tokens_of = 1
        """Tokens are made up to a multiple of this by some that nobody sees."""
        self.factors = torch.float32
        """Type of what positional convolutions and attention multiply, and of the bias."""
        self.fitted = False
        """Whether its products were replaced by what a machine runs fastest (``runner.fit``)."""
        dim, channels = config.embed_dim, config.stem[-1].channels
        inputs = (1, *(layer.channels for layer in config.stem))
        self.stem = nn.ModuleList(map(StemLayer, inputs, config.stem))
        self.feature_norm = nn.LayerNorm(channels, eps=NORM_EPS)
        self.feature_proj = nn.Linear(channels, dim)
        kernel, groups = config.pos_kernel, config.pos_groups
        self.positions = nn.ModuleList(
            nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=groups) for _ in range(config.pos_depth)
        )
        self.extra_tokens = nn.Parameter(torch.empty(1, config.extra_tokens, dim))
        self.alibi_scale = nn.Parameter(torch.empty(1, 1, config.heads, 1, 1))
        self.norm = nn.LayerNorm(dim, config.norm_eps)
        # On the CPU even where parameters are made without memory: it is filled from no checkpoint.
        self.register_buffer("slopes", torch.tensor(slopes(config.heads), device="cpu"), persistent=False)
        blocks = config.context_blocks + config.main_blocks
        self.blocks = nn.ModuleList(Block(dim, config.heads, config.norm_eps) for _ in range(blocks))
        self.head = nn.Linear(dim, config.classes)

    def encode(self, waves: Tensor, frames: Tensor) -> Tensor:
        """What ``collate`` made -> [B, most frames, embed_dim]; frames past a clip's end are zero.

        With counts on the device of the waves nothing here waits for it.
        """
        x = self._features(waves)
        longest = x.shape[1]
        keep = (torch.arange(longest, device=x.device) < frames[:, None].to(x.device))[:, :, None]
        x = x * keep
        x = x + self._positions(x, keep)
        bias, extra = self.bias(frames, longest), self.config.extra_tokens
        spare = x.new_zeros(len(x), bias.tokens - extra - longest, x.shape[2])
        x = torch.cat([self.extra_tokens.expand(len(x), -1, -1), x, spare], 1)
        x = self.norm(x)
        for block in self.blocks:
            x = block(x, bias)
        encoded: Tensor = x[:, extra : extra + longest] * keep
        return encoded

    def pool(self, encoded: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """What ``encode`` made -> embeddings [B, embed_dim], logits [B, classes]."""
        # Rule 5: frames past the end are zero in the sum and absent from the count.
        embeddings = encoded.sum(1) / frames[:, None].to(encoded.device)
        return embeddings, self.head(embeddings)

    def forward(self, waves: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """What ``collate`` made -> embeddings [B, embed_dim], logits [B, classes]."""
        return self.pool(self.encode(waves, frames), frames)

    def logits(self, waves: Tensor, frames: Tensor) -> Tensor:
        """What ``collate`` made -> [B, classes], before any softmax."""
        return self.forward(waves, frames)[1]

    def bias(self, frames: Tensor, longest: int) -> Bias:
        """What attention adds to its products, for clips of these counts of frames; tokens are a full multiple."""
        scaled, extra = self.slopes * self.alibi_scale.clamp_min(0).flatten(), self.config.extra_tokens
        return Bias(scaled, extra, frames, longest + -(extra + longest) % self.tokens_of, self.factors)

    def _features(self, waves: Tensor) -> Tensor:
        """[B, samples] -> [B, frames, embed_dim], a span of ``stem_frames`` at a time; exact, being unpadded."""
        stem = self.config.stem
        hop = math.prod(layer.stride for layer in stem)
        total = frames(waves.shape[1], stem)
        spans = []
        for start in range(0, total, self.stem_frames):
            count = min(self.stem_frames, total - start)
            x = waves[:, start * hop : start * hop + field(count, stem), None]
            for layer in self.stem:
                x = layer(x)
            spans.append(self.feature_proj(self.feature_norm(x)))
        return spans[0] if len(spans) == 1 else torch.cat(spans, 1)

    def _positions(self, x: Tensor, keep: Tensor) -> Tensor:
        for convolution in self.positions:
            x = x.transpose(1, 2).to(self.factors)
            x = convolution(x).transpose(1, 2).float()
            # Rule 3: each of the convolutions leaks into the padding; the next one must find zeros there.
            x = _gelu(functional.layer_norm(x, x.shape[-1:], eps=NORM_EPS)) * keep
        return x
