"""Downloads and built servers: each made once, and either complete or not there at all."""

import fcntl
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streamproc.local.failure import StoppedError

RETRY_S = 0.2
"""How often a lock that another process holds is tried: nobody notices it, and it costs nothing."""


@contextmanager
def locked(path: Path, stop: threading.Event, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a file lock across processes. Calls ``waiting`` once if somebody else has it; raises StoppedError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    waiting()
                    told = True
                if stop.wait(RETRY_S):
                    raise StoppedError from None
            else:
                break
        yield


@dataclass(frozen=True, slots=True)
class Cache:
    """A folder of finished folders."""

    root: Path

    def once(
        self, name: str, make: Callable[[Path, Path], None], stop: threading.Event, waiting: Callable[[], None]
    ) -> Path:
        """The folder ``name``, made by ``make(folder, scratch)`` unless it is there.

        Two processes that want it at the same time make it once. What ``make`` leaves in ``scratch`` is thrown away.
        """
        target = self.root / name
        if target.is_dir():
            return target
        with locked(self.root / f"{name}.lock", stop, waiting):
            if target.is_dir():
                return target
            scratch = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.root))
            try:
                made = scratch / "made"
                made.mkdir()
                make(made, scratch)
                made.rename(target)
            finally:
                shutil.rmtree(scratch)
        return target
