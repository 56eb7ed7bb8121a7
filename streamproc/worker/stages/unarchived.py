"""Analyses that wait to be archived."""

from collections import deque

from streamproc.records.analysis import Analysis
from streamproc.records.weight import weight


class Unarchived:
    """The oldest first, up to a number of bytes of memory: the archive may be slow, and one analysis can be 1 MB."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._waiting: deque[tuple[str, Analysis, int]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, key: str, analysis: Analysis) -> int:
        """Let one wait. Returns how many will not be archived: the oldest, that it fits, or itself if it cannot."""
        size = weight(analysis)
        if size > self._most_bytes:
            return 1
        self._waiting.append((key, analysis, size))
        self._bytes += size
        forgotten = 0
        while self._bytes > self._most_bytes:
            self.take()
            forgotten += 1
        return forgotten

    def clear(self) -> int:
        """Let none wait any more. Returns how many did."""
        forgotten = len(self._waiting)
        self._waiting.clear()
        self._bytes = 0
        return forgotten

    def take(self) -> tuple[str, Analysis]:
        """The one that has waited longest. Raises IndexError when there is none."""
        key, analysis, size = self._waiting.popleft()
        self._bytes -= size
        return key, analysis
