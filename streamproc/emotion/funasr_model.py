"""FunasrModel: FunASR's own network and its own loop over clips, for any emotion model that FunASR has.

What stands around them in FunASR, ``AutoModel``, is left out, for that is where its traps are: it unpickles, asks a
package index and a hub, runs what a model directory brings, fills missing tensors with random numbers, gives all clips
of a call one key, and sets threads and seeds for the whole process. Weights come from our own reader.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from streamproc.analyzer import Wave, measure
from streamproc.arena import SAMPLE_RATE, SLOT_SAMPLES
from streamproc.cache_root import cache_root
from streamproc.emotion.checkpoint import ONE_MODEL, SCOPE, ModelFiles, check_names, find_files, ignored, read_weights
from streamproc.emotion.directory import find_directory
from streamproc.emotion.errors import CheckpointError
from streamproc.emotion.funasr_config import read_labels
from streamproc.emotion.funasr_globals import kept_globals
from streamproc.emotion.funasr_shape import FunasrShape, read_shape
from streamproc.emotion.runner import choose_device
from streamproc.errors import UsageError
from streamproc.records.compute import ItemError, Scored
from streamproc.records.embedding import pack
from streamproc.records.identity import ModelIdentity
from streamproc.records.profile import Profile


@dataclass(frozen=True, slots=True)
class _Tokens:
    """All that FunASR's loop reads of a tokenizer: one name for each class, of which it leaves ``unuse`` out."""

    token_list: Sequence[str]


class FunasrModel:
    """A loaded model. Not for several threads at once."""

    def __init__(
        self, identity: ModelIdentity, network: Any, tokens: _Tokens, min_samples: int, device: torch.device
    ) -> None:
        self.identity = identity
        self._network = network
        self._tokens = tokens
        self._min_samples = min_samples
        self._device = device

    def run(self, batch: Sequence[Wave]) -> list[Scored | ItemError]:
        """Scores in the order of the labels and an embedding, or an error, per waveform (1-D float32, 16 kHz, mono).

        One clip at a time: FunASR's own loop is no other, and its padded batch gives wrong numbers.
        """
        return [ItemError(problem) if (problem := self._problem(wave)) else self._value(wave) for wave in batch]

    @cached_property
    def profile(self) -> Profile:
        """Measured at first use, which also warms the network up; clips run alone."""
        return measure(self._value)

    @torch.no_grad()
    def _value(self, wave: Wave) -> Scored | ItemError:
        own = np.require(
            wave, np.float32, ["C", "W"]
        )  # a view that is read-only or runs backwards is nothing for torch
        ((found,), _) = self._network.inference(
            [own], key=["0"], tokenizer=self._tokens, device=self._device, fs=SAMPLE_RATE, extract_embedding=True
        )
        if len(own) > SLOT_SAMPLES:
            self._network.alibi_biases.clear()  # it keeps the longest clip's for good: 0.6 GB after a minute of audio
        scores, embedding = tuple(map(float, found["scores"])), found["feats"]
        if not (np.isfinite(scores).all() and np.isfinite(embedding).all()):
            return ItemError("the network gave no finite scores")
        return Scored(scores, pack(embedding))

    def _problem(self, wave: Any) -> str:
        """What is wrong with a waveform; empty when nothing is. FunASR takes NaN, and (n, 2) as one clip of 2 n."""
        if not isinstance(wave, np.ndarray) or wave.dtype != np.float32 or wave.ndim != 1:
            return "a waveform is a 1-D float32 array"
        if len(wave) < self._min_samples:
            return f"{len(wave)} samples are under the {self._min_samples} that one frame takes"
        return "" if np.isfinite(wave).all() else "holds samples that are not finite"


def load_funasr(name_or_dir: str | Path, device: str, precision: str) -> FunasrModel:
    """Load a FunASR emotion model: a directory, or one that ``load_model`` knows by name.

    Raises CheckpointError for one that does not hold a whole model, UsageError where FunASR cannot be imported or
    cannot do what is asked for.
    """
    if precision != "fp32":
        raise UsageError("model.engine is funasr, which runs in fp32 alone: set model.precision to it")
    chosen = choose_device(device)
    files = find_files(find_directory(name_or_dir, cache_root(None, os.environ)))
    labels, shape = read_labels(files.tokens), read_shape(files.config)
    with kept_globals():
        version, make = _import()
        network = _empty(make, shape, len(labels), files.config)
        digest, _ = read_weights(files, lambda tensors, finite: _fill(network, tensors, files, finite=finite))
    if chosen.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # cuDNN rounds convolutions to 10 bits by default; we state fp32
    identity = ModelIdentity(
        files.name,
        digest,
        precision,
        tuple(label for label in labels if label is not None),
        engine=f"funasr {version}",
        embed_dim=shape.conf["embed_dim"],
    )
    tokens = _Tokens(["unuse" if label is None else str(place) for place, label in enumerate(labels)])
    return FunasrModel(identity, network.to(chosen).eval(), tokens, shape.min_samples, chosen)


def _import() -> tuple[str, Callable[..., Any]]:
    """FunASR's version, and the class of its network."""
    try:
        import funasr  # noqa: PLC0415  # it takes seconds, and is an extra
        from funasr.models.emotion2vec.model import Emotion2vec  # noqa: PLC0415  # same
    except ImportError as error:
        raise UsageError(f"model.engine is funasr, which cannot be imported here: {error}") from error
    return funasr.__version__, Emotion2vec


def _empty(make: Callable[..., Any], shape: FunasrShape, classes: int, path: Path) -> Any:
    """FunASR's network without memory: the weights say whether the shape is the right one before any is taken."""
    try:
        with torch.device("meta"):
            return make(model_conf=shape.conf, vocab_size=classes)
    except Exception as error:  # whatever its constructors raise for a shape that is none
        problem = f"FunASR builds no network of it ({type(error).__name__}: {error})"
        raise CheckpointError(path, problem, "take the file that was published with these weights") from error


def _fill(network: Any, tensors: Mapping[str, Tensor], files: ModelFiles, *, finite: bool) -> None:
    """Give each tensor of the network the one of its name, or of its name as published."""
    wanted: Mapping[str, Tensor] = network.state_dict()
    names = {name: SCOPE + name if SCOPE + name in tensors else name for name in wanted}
    check_names([name for name in tensors if not ignored(name)], names.values(), files.weights)
    state = {}
    for name, published in names.items():
        tensor = tensors[published]
        if tensor.shape != wanted[name].shape:
            problem = f"{published} is {tuple(tensor.shape)}, not {tuple(wanted[name].shape)}"
            raise CheckpointError(files.weights, problem, ONE_MODEL)
        if not finite and not bool(tensor.isfinite().all()):
            raise CheckpointError(files.weights, f"{published} holds values that are not finite", "fetch it again")
        state[name] = tensor.to(wanted[name].dtype)
    network.load_state_dict(state, strict=True, assign=True)
    network.requires_grad_(requires_grad=False)
