"""The folders that a worker writes to."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from streamproc.operate.doctor.check import Check
from streamproc.operate.doctor.finding import Finding, doubtful, well, wrong
from streamproc.settings import Settings

LEAST_BYTES = 64 * 1024**2
"""A worker keeps locks and marks of a few bytes; with less than this a disk is full, whoever filled it."""
LOW_BYTES = 1024**3
_MIB = 1024**2


def check(settings: Settings) -> Check:
    """State and temporary files. Models are looked at by themselves."""
    folders = {"local.state_dir": settings.local.state_dir.absolute(), "TMPDIR": Path(tempfile.gettempdir())}
    return Check(
        "disk",
        "Can the folders of state and of temporary files be written, and is there room?",
        lambda: _look(folders),
        "Make room, or set local.state_dir or TMPDIR to a folder that can be written.",
    )


def _look(folders: Mapping[str, Path]) -> Finding:
    free = {}
    for name, folder in folders.items():
        there = next(one for one in (folder, *folder.parents) if one.exists())
        try:
            # A file without a name: nothing is left of it.
            with tempfile.TemporaryFile(dir=there) as file:
                file.write(b"doctor")
            free[name] = shutil.disk_usage(there).free
        except OSError as error:
            return wrong(
                f"{folder} ({name}) cannot be written: {error.strerror}",
                f"Make it a folder that this user may write to, or set {name} to another.",
            )
    name, least = min(free.items(), key=lambda entry: entry[1])
    says = f"{least // _MIB} MiB free at {folders[name]} ({name})"
    if least < LEAST_BYTES:
        return wrong(says, "Make room: a worker that cannot write a lock does not start.")
    if least < LOW_BYTES:
        return doubtful(says, "Make room before logs take the rest.")
    return well(says)
