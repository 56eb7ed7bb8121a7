"""Who is told what a source owns."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from streamproc.records.record import CommitOffset, TopicPartition


class Assignments(Protocol):
    """Told on the polling thread, but for ``asked``."""

    def assigned(self, starts: Mapping[TopicPartition, CommitOffset]) -> None:
        """These partitions are ours from these offsets on."""
        ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """These go to somebody else once this returns."""
        ...

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """These are somebody else's already."""
        ...

    def asked(self) -> None:
        """Somebody waits for the next ``poll`` or ``serve``. From any thread; must not wait."""
        ...
