"""Cores: how many this process can keep busy."""

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
QUOTA = "cpu.max"


def cores(cgroups: Path = CGROUPS, own: Path = OWN) -> int:
    """Those of its affinity, and no more than the tightest CPU quota of its cgroups (version 2) pays for.

    A container that is limited to 2 of 64 cores sees all 64; threads beyond its quota only wait for each other.
    """
    return math.ceil(min(len(os.sched_getaffinity(0)), _quota(cgroups, _path(own))))


def _path(own: Path) -> Path:
    """Where in the tree the process is; its root where that cannot be seen from here."""
    lines = own.read_text("utf-8").splitlines() if own.exists() else []
    path = next((Path(line[3:].lstrip("/")) for line in lines if line.startswith("0::")), Path())
    return Path() if ".." in path.parts else path


def _quota(cgroups: Path, path: Path) -> float:
    """Seconds of CPU time for each second; infinite where nothing says so."""
    files = (cgroups / place / QUOTA for place in (path, *path.parents))
    return min((_read(file) for file in files if file.exists()), default=math.inf)


def _read(file: Path) -> float:
    quota, period = file.read_text("utf-8").split()
    return math.inf if quota == "max" else int(quota) / int(period)
