"""Info: what a model directory holds, for people."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from streamproc.emotion import checkpoint
from streamproc.emotion.engines import OURS
from streamproc.emotion.layout import CONFIG, CONFIGURATION, TOKENS, WEIGHTS
from streamproc.emotion.manifest import Manifest, read_manifest
from streamproc.emotion.precision import check, stated
from streamproc.records.identity import ModelIdentity, fingerprint
from streamproc.records.recording import CHANNELS
from streamproc.settings import ModelSettings

FIVE_LABELS = ("angry", "happy", "neutral", "sad", "unknown")
FIVE_LABELS_NOTE = (
    "the tokens.txt of the first upload (before 24 June 2024), which names five of the nine classes; the later one "
    "names all nine for the same weights"
)


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What `model info` tells."""

    name: str
    directory: str
    source: Manifest | None
    """Where it was pulled from; None for a directory of one's own."""
    labels: tuple[str, ...]
    note: str
    parameters: int
    shape: Mapping[str, Any]
    sizes: Mapping[str, int]
    """Bytes of each file."""
    weights_sha256: str
    precision: str
    """As the identity of a worker has it, with the kind of its device."""
    engine: str
    """Of the settings."""
    fingerprints: Mapping[str, str]
    """By the rule for channels; none where another engine would run the model, whose own they are."""


def describe(directory: Path, settings: ModelSettings) -> ModelInfo:
    """Load a model, with every check that a load makes, and say what it is.

    Raises CheckpointError, and UsageError for a precision that the device of the settings does not have.
    """
    kind = "cuda" if settings.device == "cuda" else "cpu"
    precision = stated(check(settings.precision, kind), kind)
    loaded = checkpoint.load(directory)
    identity = ModelIdentity(loaded.name, loaded.weights_sha256, precision, loaded.labels)
    shape = asdict(loaded.network.config) | {"stem": [list(layer) for layer in loaded.network.config.stem]}
    files = (directory / name for name in (CONFIG, CONFIGURATION, TOKENS, WEIGHTS))
    return ModelInfo(
        name=loaded.name,
        directory=str(directory),
        source=read_manifest(directory),
        labels=loaded.labels,
        note=FIVE_LABELS_NOTE if loaded.labels == FIVE_LABELS else "",
        parameters=sum(parameter.numel() for parameter in loaded.network.parameters()),
        shape=shape,
        sizes={file.name: file.stat().st_size for file in files if file.exists()},
        weights_sha256=loaded.weights_sha256,
        precision=precision,
        engine=settings.engine,
        fingerprints={c: fingerprint(identity, c) for c in CHANNELS} if settings.engine == OURS else {},
    )
