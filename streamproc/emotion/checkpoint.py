"""Checkpoint: a FunASR model directory as a network that is ready to run, and the way back.

Names and shapes are strict. FunASR prints a warning for a missing tensor and runs with random weights; here anything
missing, unknown, misshapen or not finite is a CheckpointError.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from streamproc.emotion.checked import Mark, recall, remember
from streamproc.emotion.errors import CheckpointError
from streamproc.emotion.funasr_config import read_config, read_labels, read_paths, write_texts
from streamproc.emotion.layout import CONFIGURATION, WEIGHTS
from streamproc.emotion.manifest import FileRecord, Manifest, check_file, read_manifest, sha256
from streamproc.emotion.network import Network, NetworkConfig
from streamproc.errors import Fatal, FatalError

SCOPE = "d2v_model."
"""How the published names begin, all but the head's; FunASR's own names lack it."""
AUDIO = "modality_encoders.AUDIO."
TRAINING_ONLY = (f"{AUDIO}decoder.", "_ema", "ema.")
"""Tensors that data2vec 2.0 trains with and inference never reads."""
_PULL_AGAIN = "fetch the model again, or name another one"
ONE_MODEL = "config.yaml and weights must come from one model"
T = TypeVar("T")
_RENAMED = {"qkv": "attn.qkv", "proj": "attn.proj", "fc1": "mlp.fc1", "fc2": "mlp.fc2"}


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A loaded model. ``live`` are the places of ``labels`` among the logits; ``name`` is the one it was pulled by."""

    name: str
    network: Network
    labels: tuple[str, ...]
    live: tuple[int, ...]
    weights_sha256: str


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where the files of a directory are, and under which name it was pulled."""

    name: str
    config: Path
    weights: Path
    tokens: Path
    record: FileRecord | None
    """What the weights were when they were pulled; None for a directory that somebody made himself."""


def load(directory: Path) -> Checkpoint:
    """Load a directory (config.yaml, configuration.json, tokens.txt, weights).

    Raises CheckpointError, and FatalError when its weights are written to meanwhile.

    Weights are mapped, not read: what inference does not use (a published file is two thirds optimizer state) takes no
    memory, and processes of one host share the rest, until a runner lays out copies of its own. They are hashed and
    searched for values that are not finite; a large file that is the same as then is not again (``checked``). Each file
    of a pulled model has to be what was pulled.
    """
    files = find_files(directory)
    labels = read_labels(files.tokens)
    config = read_config(files.config, len(labels))
    digest, network = read_weights(files, lambda tensors, finite: _fill(config, tensors, files.weights, finite=finite))
    live = tuple(i for i, label in enumerate(labels) if label is not None)
    named = tuple(label for label in labels if label is not None)
    return Checkpoint(files.name, network, named, live, digest)


def find_files(directory: Path) -> ModelFiles:
    """The files of a directory; small ones of a pulled model are what was pulled. Raises CheckpointError."""
    manifest = read_manifest(directory)
    if manifest is None:
        return ModelFiles(directory.resolve().name, *read_paths(directory), record=None)
    check_file(directory / CONFIGURATION, _record(manifest, directory / CONFIGURATION))
    config, weights, tokens = read_paths(directory)
    for path in (config, tokens):
        check_file(path, _record(manifest, path))
    return ModelFiles(manifest.name, config, weights, tokens, _record(manifest, weights))


def save(directory: Path, network: Network, tokens: tuple[str, ...]) -> None:
    """Write a directory that ``load`` and FunASR's AutoModel read alike; ``tokens`` are lines like ``开心/happy``."""
    if len(tokens) != network.config.classes:
        raise ValueError(f"{len(tokens)} tokens for {network.config.classes} classes")
    directory.mkdir(parents=True, exist_ok=True)
    write_texts(directory, network.config, tokens)
    state = network.state_dict()
    tensors = {published: _publish(network.config, ours, state[ours]) for ours, published in _names(network)}
    torch.save({"model": tensors}, directory / WEIGHTS)


def _record(manifest: Manifest, path: Path) -> FileRecord:
    if path.name not in manifest.files:
        raise CheckpointError(path, "is none of the files that were pulled", _PULL_AGAIN)
    return manifest.files[path.name]


def read_weights(files: ModelFiles, fill: Callable[[Mapping[str, Tensor], bool], T]) -> tuple[str, T]:
    """Hash of the weights and what ``fill`` makes of them, which were one and the same file all the while.

    ``fill`` gets the tensors by published name, and whether they were found finite before: if not, it has to look.
    Raises CheckpointError, FatalError for a file that changed.
    """
    begun_ns, path = time.time_ns(), files.weights
    mark = _readable(Mark.of, path)
    known = recall(path, mark)
    digest = _readable(sha256, path) if known is None else known
    if files.record is not None:
        check_file(path, files.record, digest)
    filled = fill(_tensors(path), known is not None)
    if _readable(Mark.of, path) != mark:
        raise FatalError(
            f"{path} was changed while it was read: start again when nobody writes to it", Fatal.MODEL_CHANGED
        )
    if known is None:
        remember(path, mark, digest, begun_ns)
    return digest, filled


def _readable(read: Callable[[Path], T], path: Path) -> T:
    try:
        return read(path)
    except OSError as error:
        raise CheckpointError(path, error.strerror or "cannot be read", _PULL_AGAIN) from error


def _fill(config: NetworkConfig, tensors: Mapping[str, Tensor], path: Path, *, finite: bool) -> Network:
    with torch.device("meta"):
        network = Network(config)
    state = network.state_dict()
    names = dict(_names(network))
    found = {name: tensor for name, tensor in tensors.items() if not ignored(name)}
    check_names(found, set(names.values()), path)
    for ours, published in names.items():
        shape = _publish(config, ours, state[ours]).shape
        tensor = found[published]
        if tensor.shape != shape or tensor.dtype != torch.float32:
            problem = f"{published} is {tuple(tensor.shape)} {tensor.dtype}, not {tuple(shape)} torch.float32"
            raise CheckpointError(path, problem, ONE_MODEL)
        if not finite and not bool(tensor.isfinite().all()):
            raise CheckpointError(path, f"{published} holds values that are not finite", _PULL_AGAIN)
        state[ours] = _adopt(config, ours, tensor)
    network.load_state_dict(state, strict=True, assign=True)
    return network.eval().requires_grad_(requires_grad=False)


def check_names(found: Collection[str], expected: Collection[str], path: Path) -> None:
    """Raise CheckpointError that says which names are missing or unknown."""
    missing, unknown = sorted({*expected} - {*found}), sorted({*found} - {*expected})
    if missing or unknown:
        problem = f"{len(missing)} tensors missing {missing[:3]}, {len(unknown)} unknown {unknown[:3]}"
        raise CheckpointError(path, problem, ONE_MODEL)


def ignored(name: str) -> bool:
    """Whether inference never reads the tensor of this published name."""
    return name.removeprefix(SCOPE).startswith(TRAINING_ONLY)


def _names(network: Network) -> Iterator[tuple[str, str]]:
    """Our name and the published name of each tensor."""
    for ours in network.state_dict():
        yield ours, _published_name(ours.split("."), network.config.context_blocks)


def _published_name(parts: list[str], context_blocks: int) -> str:
    match parts:
        case ["stem", layer, "weight"]:
            name = f"local_encoder.conv_layers.{layer}.0.weight"
        case ["stem", layer, "norm", kind]:
            name = f"local_encoder.conv_layers.{layer}.2.1.{kind}"
        case ["feature_norm", kind]:
            name = f"project_features.1.{kind}"
        case ["feature_proj", kind]:
            name = f"project_features.2.{kind}"
        case ["positions", layer, kind]:
            name = f"relative_positional_encoder.{int(layer) + 1}.0.{kind}"
        case ["norm", kind]:
            name = f"context_encoder.norm.{kind}"
        case ["blocks", block, part, kind] if int(block) < context_blocks:
            name = f"context_encoder.blocks.{block}.{_RENAMED.get(part, part)}.{kind}"
        case ["blocks", block, part, kind]:
            return f"{SCOPE}blocks.{int(block) - context_blocks}.{_RENAMED.get(part, part)}.{kind}"
        case ["head", kind]:
            return f"proj.{kind}"
        case _:  # extra_tokens, alibi_scale
            name = ".".join(parts)
    return f"{SCOPE}{AUDIO}{name}"


def _adopt(config: NetworkConfig, ours: str, tensor: Tensor) -> Tensor:
    """FunASR's [channels, inputs, kernel] -> our [channels, kernel * inputs]; everything else is the same."""
    return tensor.transpose(1, 2).flatten(1) if _kernel(config, ours) else tensor


def _publish(config: NetworkConfig, ours: str, tensor: Tensor) -> Tensor:
    """The inverse of ``_adopt``, as a copy that shares no storage."""
    kernel = _kernel(config, ours)
    published = tensor.reshape(len(tensor), kernel, -1).transpose(1, 2) if kernel else tensor
    return published.detach().clone(memory_format=torch.contiguous_format)


def _kernel(config: NetworkConfig, ours: str) -> int:
    match ours.split("."):
        case ["stem", layer, "weight"]:
            return config.stem[int(layer)].kernel
        case _:
            return 0


def _tensors(path: Path) -> Mapping[str, Tensor]:
    """The tensors of a weights file by published name, mapped read-only."""
    body: Any
    try:
        body = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch names no closed list of what damaged or hostile bytes raise
        raise CheckpointError(path, f"not a weights file ({type(error).__name__}: {error})", _PULL_AGAIN) from error
    tensors = body.get("model") if isinstance(body, dict) else None
    if not isinstance(tensors, dict) or not all(isinstance(t, Tensor) for t in tensors.values()):
        raise CheckpointError(path, "holds no tensors by name under 'model'", _PULL_AGAIN)
    return tensors
