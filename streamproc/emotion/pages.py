"""Pages: memory that only repeats what is in a file, given back as soon as nobody needs it any more."""

import ctypes
import mmap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

MAPS = Path("/proc/self/maps")


@dataclass(frozen=True, slots=True)
class Pages:
    """Where files are mapped into this process, privately: ``[start, end)`` of each."""

    ranges: Sequence[tuple[int, int]]

    @classmethod
    def here(cls, maps: Path = MAPS) -> "Pages":
        """As of now; none on a system that does not say."""
        try:
            lines = maps.read_text("utf-8", "replace").splitlines()
        except OSError:
            return cls(())
        return cls([found for line in lines if (found := _file(line)) is not None])

    def let_go(self, tensor: Tensor) -> None:
        """Give back the pages that hold nothing but this tensor, if a file has them: whoever asks gets them from there.

        Without that a mapped weight counts as this process's memory until the last tensor of its file is gone, beside
        the copy that was laid out of it. Nobody may have written to it: that would be undone.
        """
        start, end = tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes
        first, last = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
        if first < last and any(begin <= start and end <= behind for begin, behind in self.ranges):
            # What the system does not take back, as of a process that locked its memory, stays where it is.
            ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), mmap.MADV_DONTNEED)


def _file(line: str) -> tuple[int, int] | None:
    """The range of a line of proc_pid_maps(5) that maps a file for this process alone."""
    where, permissions, _, _, inode, *_ = line.split(maxsplit=5)
    if inode == "0" or not permissions.endswith("p"):
        return None
    start, end = where.split("-")
    return int(start, 16), int(end, 16)
