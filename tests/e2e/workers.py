"""A worker as its supervisor sees it: a process."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

PATIENCE_S = 180
"""For anything at all to happen on a busy machine: what should be quicker is measured, not waited for."""
COMMIT_S = 1.0
"""For a broker to end a transaction that it was told to commit; well below the session of a worker that is stopped."""


class Worker:
    """`streamproc worker`, or a program that stands for it, in a process of its own, with its log in a file."""

    def __init__(
        self, environment: Mapping[str, str], folder: Path, program: Sequence[str] = ("streamproc", "worker")
    ) -> None:
        self._environment = {**os.environ, **environment}
        self._program = program
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
                [sys.executable, "-m", *self._program],
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

    def kill_in_a_transaction(self, is_open: Callable[[], bool], seconds: float = PATIENCE_S) -> None:
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
            return self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise

    def lines(self) -> list[dict[str, Any]]:
        """What its log says so far; a line that is being written is left out."""
        written = self.log.read_text(errors="replace").splitlines(keepends=True) if self.log.exists() else []
        return [json.loads(line) for line in written if line.startswith("{") and line.endswith("}\n")]

    def ask(self, path: str) -> str:
        """What one of its endpoints answers. Raises OSError while it does not listen."""
        urls = [line["url"] for line in self.lines() if line.get("event") == "worker starts"]
        if not urls:
            raise ConnectionRefusedError("it has not said yet where it listens")
        with urllib.request.urlopen(f"{urls[-1]}{path}", timeout=10) as answer:  # noqa: S310  # its own address
            text: str = answer.read().decode()
        return text

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-4000:]


def stays_open(is_open: Callable[[], bool]) -> bool:
    """Whether a transaction stays open for long enough that it was not just being committed."""
    deadline = time.monotonic() + COMMIT_S
    while is_open():
        if time.monotonic() > deadline:
            return True
        time.sleep(0.05)
    return False


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
