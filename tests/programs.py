"""Outside programs: what it means that one is missing, and how one is killed."""

import os
import time
from contextlib import suppress
from typing import NoReturn

import psutil
import pytest


def missing(reason: str) -> NoReturn:
    """Skip the test with its reason; with ``CI=true`` fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"missing where nothing may be missing: {reason}", pytrace=False)
    pytest.skip(reason, allow_module_level=True)


def kill(pid: int) -> None:
    """SIGKILL a process and see it gone: a server still answers for a moment, and `up` would rightly keep it."""
    process = psutil.Process(pid)
    process.kill()
    deadline = time.monotonic() + 60
    with suppress(psutil.NoSuchProcess):
        while process.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, f"{pid} outlives its SIGKILL"
            time.sleep(0.01)
