"""Manifest: where a pulled model came from and what each file hashes to. Any other byte is a CheckpointError."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from streamproc.emotion.errors import CheckpointError
from streamproc.emotion.layout import MANIFEST
from streamproc.emotion.sealed import read_sealed, write_sealed

PULL_AGAIN = "run `streamproc model pull` for it again: only what is wrong is fetched"

Tell = Callable[[str, int, int], None]
"""Told (file, bytes done, bytes in all)."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file as it was pulled."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ``model pull`` writes beside the files."""

    name: str
    hub: str
    repo: str
    revision: str
    licence: str
    attribution: str
    files: Mapping[str, FileRecord]


_ADAPTER = TypeAdapter(Manifest)


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Put it in place, whole. Raises OSError."""
    write_sealed(directory / MANIFEST, asdict(manifest))


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest of a pulled model; None for a directory that somebody made himself. Raises CheckpointError."""
    path = directory / MANIFEST
    try:
        body = read_sealed(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(path, error.strerror or "cannot be read", "look at its permissions") from error
    try:
        return _ADAPTER.validate_python(body)
    except ValidationError as error:
        raise CheckpointError(path, "was changed since the model was pulled", PULL_AGAIN) from error


def check_file(path: Path, record: FileRecord, found: str | None = None) -> None:
    """Compare size and hash; ``found`` where the hash is known already. Raises CheckpointError, naming both."""
    try:
        size = path.stat().st_size
        digest = sha256(path) if size == record.size and found is None else found
    except OSError as error:
        raise CheckpointError(path, error.strerror or "cannot be read", PULL_AGAIN) from error
    if size != record.size:
        raise CheckpointError(path, f"has {size} bytes, not the {record.size} that were pulled", PULL_AGAIN)
    if digest != record.sha256:
        raise CheckpointError(path, f"sha256 is {digest}, pulled was {record.sha256}", PULL_AGAIN)


def verify(directory: Path, manifest: Manifest, tell: Tell) -> None:
    """Hash every file again, whatever any load remembers. Raises CheckpointError for the first that differs."""
    for place, (name, record) in enumerate(manifest.files.items()):
        tell(name, place, len(manifest.files))
        check_file(directory / name, record)
    tell("all", len(manifest.files), len(manifest.files))


def sha256(path: Path) -> str:
    """Hex digest of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
