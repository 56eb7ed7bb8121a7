"""What objects' versions and ETags stood for, in this process."""

import sys
from collections import OrderedDict

_ENTRY_BYTES = 400
"""What a hash and a place in the order take at most, beside the name."""


class MemoryAliases:
    """The hashes used most recently, by alias. For the main loop alone: it is not thread-safe."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._hashes: OrderedDict[str, str] = OrderedDict()

    def __len__(self) -> int:
        return len(self._hashes)

    def get(self, name: str) -> str | None:
        """The SHA-256 of an alias, which becomes the most recently used; None when it is not known."""
        if (found := self._hashes.get(name)) is not None:
            self._hashes.move_to_end(name)
        return found

    def put(self, name: str, sha256: str) -> None:
        """Remember; forgets the least recently used beyond the limit."""
        if name not in self._hashes:
            self._bytes += weight(name)
        self._hashes[name] = sha256
        self._hashes.move_to_end(name)
        while self._bytes > self._most:
            self._bytes -= weight(self._hashes.popitem(last=False)[0])


def weight(name: str) -> int:
    """Bytes that an alias takes."""
    return _ENTRY_BYTES + sys.getsizeof(name)
