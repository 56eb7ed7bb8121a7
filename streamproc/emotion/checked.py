"""Checked: a load remembers which weights file it hashed and looked through, so that the next one is a ``stat``.

The mark is the file's identity as the kernel keeps it. Whatever writes to a file through the file system moves
``ctime``, which no call sets back; a copy, a restore or a new mount has another inode. What it cannot see is a disk
that returns other bytes than were written, or somebody who writes to the device itself: ``streamproc model verify``
always hashes.
"""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError

from streamproc.emotion.layout import CHECKED
from streamproc.emotion.sealed import read_sealed, write_sealed
from streamproc.telemetry.log import get_log

log = get_log(__name__)

SMALL = 32 * 1024**2
"""Files up to this are hashed at every load: that takes some 20 ms."""
SETTLED_NS = 2_000_000_000
"""A file may change twice within one tick of the kernel's clock; one that has been left alone so long has not."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Which bytes a path leads to."""

    file: str
    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """As it is now. Raises OSError."""
        found = path.stat()
        return cls(path.name, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class Checked:
    """A weights file that was hashed, and whose tensors are all finite."""

    mark: Mark
    sha256: str


_ADAPTER = TypeAdapter(Checked)


def recall(path: Path, mark: Mark) -> str | None:
    """The hash of a file that was checked before and not touched since; None when it has to be checked."""
    try:
        checked = _ADAPTER.validate_python(read_sealed(path.with_name(CHECKED)))
    except (OSError, ValidationError):
        return None
    return checked.sha256 if checked.mark == mark else None


def remember(path: Path, mark: Mark, sha256: str, begun_ns: int) -> None:
    """Keep it beside the weights, where that is worth it and allowed.

    ``begun_ns`` is the wall clock when the file began to be read.
    """
    if mark.size <= SMALL or begun_ns - mark.ctime_ns < SETTLED_NS or not os.access(path.parent, os.W_OK):
        return
    try:
        write_sealed(path.with_name(CHECKED), asdict(Checked(mark, sha256)))
    except OSError as error:
        log.warning("checked weights cannot be remembered, each start hashes them", detail=str(error))
