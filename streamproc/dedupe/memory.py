"""The tier inside this process: the analyses used most recently, up to a number of bytes."""

from collections import OrderedDict

from streamproc.records.analysis import Analysis
from streamproc.records.weight import weight


class MemoryTier:
    """Least recently used analyses by content key. For the main loop alone: it is not thread-safe.

    Bounded by bytes and not by number: the analysis of a four-hour recording is a thousand times that of a word.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._entries: OrderedDict[str, tuple[Analysis, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """What the entries weigh together; never over the limit."""
        return self._bytes

    def get(self, key: str) -> Analysis | None:
        """The analysis of a content key, which becomes the most recently used; None when it is not known."""
        found = self._entries.get(key)
        if found is None:
            return None
        self._entries.move_to_end(key)
        return found[0]

    def put(self, key: str, analysis: Analysis) -> None:
        """Remember; forgets the least recently used until it fits. One that is over the limit alone is not kept."""
        self.forget(key)
        size = weight(analysis)
        if size > self._most_bytes:
            return
        self._entries[key] = analysis, size
        self._bytes += size
        while self._bytes > self._most_bytes:
            _, (_, freed) = self._entries.popitem(last=False)
            self._bytes -= freed

    def forget(self, key: str) -> None:
        """Drop what is known of a content key."""
        found = self._entries.pop(key, None)
        if found is not None:
            self._bytes -= found[1]
