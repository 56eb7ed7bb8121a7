"""What objects' versions and ETags stood for, in this process."""

from collections import OrderedDict

_ENTRY_BYTES = 1024
"""What one takes at most: a key of 512, a tag, a hash and their place."""


class MemoryAliases:
    """The hashes used most recently, by alias. For the main loop alone: it is not thread-safe."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes // _ENTRY_BYTES
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
        self._hashes[name] = sha256
        self._hashes.move_to_end(name)
        while len(self._hashes) > self._most:
            self._hashes.popitem(last=False)
