"""What a process makes of a signal, as the kernel says."""

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

PATIENCE_S = 60.0


def catches(pid: int, number: signal.Signals) -> bool:
    """Whether a handler of its own is there; not so of a process that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return False
    caught = next((line.split()[1] for line in lines if line.startswith("SigCgt:")), "0")  # proc_pid_status(5)
    return bool(int(caught, 16) >> (number - 1) & 1)


def await_caught(process: subprocess.Popen[Any], number: signal.Signals) -> None:
    """Wait for that, or for its end: in the first milliseconds of its interpreter a process cannot catch any."""
    until = time.monotonic() + PATIENCE_S
    while process.poll() is None and not catches(process.pid, number):
        assert time.monotonic() < until, f"process {process.pid} does not catch {number.name}"
        time.sleep(0.001)
