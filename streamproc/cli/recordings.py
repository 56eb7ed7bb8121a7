"""What is asked of files before any of them is published."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from streamproc.errors import UsageError


def check_files(files: Sequence[Path], most_bytes: int) -> None:
    """Raise UsageError naming every file that cannot be published, and why."""
    if problems := [f"{file}: {problem}" for file in files for problem in _problems(file, most_bytes)]:
        raise UsageError("nothing was published:\n  " + "\n  ".join(problems))


def _problems(file: Path, most_bytes: int) -> Iterator[str]:
    if file.is_dir():
        yield "is a directory; name the files in it, as in `streamproc publish FOLDER/*.wav`"
    elif not file.exists():
        yield "does not exist"
    elif not file.is_file():
        yield "is no regular file"
    elif not os.access(file, os.R_OK):
        yield "cannot be read: permission denied"
    elif not (size := file.stat().st_size):
        yield "has no bytes"
    elif size > most_bytes:
        yield f"has {size} bytes; audio.max_object_bytes is {most_bytes}"
