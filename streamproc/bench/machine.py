"""What a figure was measured on: without it, it says nothing."""

import os
import platform
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import streamproc
from streamproc.cores import cores

CPUINFO = Path("/proc/cpuinfo")
GIT_S = 5


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine's shape and the versions of what was run."""

    cpu: str
    cores: int
    """That this process may use."""
    load: float
    """Mean number of runnable processes over the minute before the run; above 0 somebody else was at work."""
    python: str
    packages: Mapping[str, str]
    commit: str | None
    """None outside a git checkout."""


def look(packages: Sequence[str]) -> Machine:
    """Look at this machine. A package that is not installed is left out."""
    return Machine(
        cpu=cpu_name(CPUINFO.read_text("utf-8", "replace")) or platform.machine(),
        cores=cores(),
        load=round(os.getloadavg()[0], 2),
        python=platform.python_version(),
        packages={"streamproc": streamproc.__version__}
        | {name: found for name in packages if (found := _version(name))},
        commit=commit(Path(streamproc.__file__).parent),
    )


def cpu_name(text: str) -> str:
    """The name in /proc/cpuinfo; empty on machines whose kernel does not tell, as most ARM ones."""
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return ""


def commit(folder: Path) -> str | None:
    """The commit that a folder of tracked files stands at, marked where something was changed since."""
    git = shutil.which("git")
    if git is None or not _ask(git, folder, "ls-files", "__init__.py"):
        return None
    return _ask(git, folder, "describe", "--always", "--dirty", "--exclude=*") or None


def _ask(git: str, folder: Path, *words: str) -> str:
    done = subprocess.run([git, "-C", folder, *words], capture_output=True, text=True, check=False, timeout=GIT_S)
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
