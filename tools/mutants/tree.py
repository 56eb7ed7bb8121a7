"""A copy of the program and its tests, to break things in."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
_COPIED = ("streamproc", "tests", "tools", "pyproject.toml")


@contextmanager
def tree(root: Path) -> Iterator[Path]:
    """A temporary folder with what killers need, gone after the block; ``root`` is never written to."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        for name in _COPIED:
            source, target = root / name, Path(folder) / name
            if source.is_dir():
                # Bytecode comes along, and with it the times of change that it is valid for.
                shutil.copytree(source, target)
            elif source.is_file():
                shutil.copy2(source, target)
        yield Path(folder)


def environment(folder: Path) -> Mapping[str, str]:
    """The same environment, but the program comes from ``folder``."""
    return os.environ | {"PYTHONPATH": str(folder), "PYTHONHASHSEED": "0"}
