"""What the processes of a worker have in memory, and the most that it was."""

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil

PERIOD_S = 0.1
RECORDING = "memfd:streamproc-recording"
"""What a recording is called that a decoder reads: memory that is in nobody's map, and so in no share."""
_KIB = 1024
_BLOCK = 512
"""What ``st_blocks`` counts in."""


@dataclass(frozen=True, slots=True)
class Resident:
    """Bytes that nobody else could have: no pages of files, which the system takes back when it wants."""

    main: int
    children: int
    """Decoders and the device's process."""
    shared: int
    """Waveforms and recordings on their way between them, each page counted once."""

    @property
    def total(self) -> int:
        """Of the whole worker."""
        return self.main + self.children + self.shared


def resident(pid: int) -> Resident:
    """Ask the system now. Raises psutil.NoSuchProcess when the main process is gone."""
    process = psutil.Process(pid)
    main, shared = shares(_rollup(pid))
    children, recordings = 0, recordings_of(pid)
    for child in process.children(recursive=True):
        with suppress(OSError):  # it has ended since it was listed, and has no memory any more
            own, common = shares(_rollup(child.pid))
            children, shared = children + own, shared + common
            recordings |= recordings_of(child.pid)
    return Resident(main, children, shared + sum(recordings.values()))


def recordings_of(pid: int) -> dict[int, int]:
    """Bytes of the recordings that a process holds open, by the number of their file."""
    found = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # it was closed since it was listed
            if RECORDING in str(link.readlink()):
                held = link.stat()
                found[held.st_ino] = held.st_blocks * _BLOCK
    return found


def shares(rollup: str) -> tuple[int, int]:
    """Bytes of its own and its share of what is shared, from a ``smaps_rollup``."""
    lines = dict(line.split(":", 1) for line in rollup.splitlines()[1:])
    own, shared = (_KIB * int(lines[name].split()[0]) for name in ("Pss_Anon", "Pss_Shmem"))
    return own, shared


def _rollup(pid: int) -> str:
    return Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")


class Watch:
    """Looks again and again while it is entered, in a thread of its own."""

    def __init__(self, look: Callable[[], Resident], period_s: float = PERIOD_S) -> None:
        self._look = look
        self._period_s = period_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch")
        self._most: Resident | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def most(self) -> Resident:
        """The moment at which there was most. Raises what looking raised, or RuntimeError when nobody looked."""
        if self._error is not None:
            raise self._error
        if self._most is None:
            msg = "nobody looked yet"
            raise RuntimeError(msg)
        return self._most

    def _run(self) -> None:
        while not self._ended.wait(self._period_s):
            try:
                found = self._look()
            except (psutil.Error, OSError, KeyError, ValueError) as error:
                self._error = error  # told to whoever asks for the most
                return
            if self._most is None or found.total > self._most.total:
                self._most = found
