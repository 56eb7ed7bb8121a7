"""Run a tool with a log, and report progress."""

import os
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which

from streamproc.local.cache import Cache
from streamproc.local.failure import LocalError, ProgramMissingError, StoppedError

Report = Callable[[str, str], None]
"""Told (server, what is happening to it)."""

POLL_S = 0.2
ANSWER_S = 30
"""How long a program may take to tell its version; a cold Java on a busy machine took 3 s."""

PASSED_ON = ("PATH", "HOME", "TMPDIR", "TZ")
"""Nothing else of our environment reaches a server: half of these programs take settings from any variable."""

PATH_ADVICE = "Set STREAMPROC_LOCAL__PREFER_PATH=false to use the Python packages instead of what is on PATH."


@dataclass(frozen=True, slots=True)
class Toolbox:
    """What a recipe needs to get its program."""

    prefer_path: bool
    cache: Cache
    report: Report
    stop: threading.Event = field(default_factory=threading.Event)

    def on_path(self, name: str) -> Path | None:
        """The program on PATH, unless the settings say to leave PATH alone."""
        found = which(name) if self.prefer_path else None
        return Path(found) if found else None

    def once(self, server: str, name: str, make: Callable[[Path, Path], None]) -> Path:
        """The cached folder ``name``, made unless it is there; see ``Cache.once``."""
        return self.cache.once(name, make, self.stop, lambda: self.report(server, f"waiting: {name} is being made"))

    def run(
        self,
        what: str,
        command: Sequence[str | Path],
        environment: Mapping[str, str],
        log: Path,
        advice: str,
        failure: type[LocalError] = ProgramMissingError,
    ) -> None:
        """Run a tool to its end, its output in ``log``. Raises ``failure`` with the end of that, StoppedError."""
        with (
            log.open("ab") as file,
            subprocess.Popen(
                [str(part) for part in command], env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file
            ) as process,
        ):
            while process.poll() is None:
                if self.stop.wait(POLL_S):
                    process.terminate()
                    raise StoppedError
        if process.returncode:
            raise failure(f"{what} failed with exit status {process.returncode}", advice, log)


def clean_environment(own: Mapping[str, str]) -> dict[str, str]:
    """The variables of a server: few of ours, a locale in which Java reads any path, and its own."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {**passed, "LC_ALL": "C.UTF-8", **own}


def answer(command: Sequence[str | Path]) -> str:
    """What a program prints about itself (both streams); empty where it cannot be run."""
    try:
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, timeout=ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr
