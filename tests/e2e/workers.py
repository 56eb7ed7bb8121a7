"""A worker as its supervisor sees it: a process."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path


class Worker:
    """`streamproc worker` in a process of its own, with its log in a file."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = {**os.environ, **environment}
        self._folder = folder
        self.log = folder / "worker.log"
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None

    def set(self, name: str, value: str) -> None:
        """Set a variable of its environment, for the next start."""
        self._environment[name] = value

    def start(self) -> None:
        """Start it, again after an end."""
        self.starts += 1
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "streamproc", "worker"],
                env=self._environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process that was started last."""
        assert self._process is not None
        return self._process

    def supervise(self) -> None:
        """Start it again when it ended with the code that asks for it, as a supervisor does."""
        code = self.process.poll()
        if code is not None:
            assert code == 4, f"exit code {code}:\n{self.tail()}"
            self.start()

    def kill_in_a_transaction(self, is_open: Callable[[], bool], seconds: float = 60) -> None:
        """SIGKILL it while a transaction is open: stop it, look, and let it go on if there is none."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.tail()
            os.kill(self.process.pid, signal.SIGSTOP)
            # A transaction that was being committed ends at the broker meanwhile; only an open one is still there.
            if is_open() and stays_open(is_open):
                self.process.kill()
                self.process.wait()
                assert is_open(), "the transaction went away with its producer"
                return
            os.kill(self.process.pid, signal.SIGCONT)
            time.sleep(0.003)
        raise AssertionError(f"no open transaction was caught in {seconds} s:\n{self.tail()}")

    def stop(self) -> int:
        """SIGTERM; its exit code, 0 for one that was never started."""
        if self._process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-4000:]


def stays_open(is_open: Callable[[], bool]) -> bool:
    """Whether a transaction is still open once the broker had time to end one that was being committed."""
    time.sleep(0.3)
    return is_open()


def until(
    true: Callable[[], bool], seconds: float, why: Callable[[], str], each: Callable[[], None] = lambda: None
) -> None:
    """Wait for something to become true, doing ``each`` meanwhile."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain: {why()}"
        each()
        time.sleep(0.2)


def tell(_server: str, _text: str) -> None:
    """Take the progress of the local servers, which nobody reads in a test."""
