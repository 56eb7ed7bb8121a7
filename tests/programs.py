"""Outside programs: what it means that one is missing, and how one is killed."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import psutil
import pytest


def missing(reason: str) -> NoReturn:
    """Skip the test with its reason; with ``CI=true`` fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing where nothing may be missing: {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def code_unread(program: str, folder: Path, environment: Mapping[str, str], seconds: float) -> int:
    """How a Python program ends whose stderr is a pipe that nobody reads."""
    unread, full = os.pipe()
    try:
        ran = subprocess.Popen([sys.executable, "-c", program], stderr=full, cwd=folder, env=environment)
        try:
            return ran.wait(seconds)
        finally:
            ran.kill()
            ran.wait()
    finally:
        os.close(unread)
        os.close(full)


def kill(pid: int) -> None:
    """SIGKILL a process and see it gone: a server still answers for a moment, and `up` would rightly keep it."""
    process = psutil.Process(pid)
    process.kill()
    deadline = time.monotonic() + 60
    with suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, f"{pid} outlives its SIGKILL"
            time.sleep(0.01)
