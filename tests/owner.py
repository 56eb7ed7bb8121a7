"""Who is told what a source owns, in the tests of sources."""

from collections.abc import Callable, Mapping, Sequence

from streamproc.records.record import CommitOffset, TopicPartition


class Owner:
    """Remembers what the source told, as the worker would."""

    def __init__(self) -> None:
        self.told: list[tuple[str, list[TopicPartition]]] = []
        self.starts: dict[TopicPartition, CommitOffset] = {}
        self.on_revoke: Callable[[], None] = lambda: None
        self.on_asked: Callable[[], None] = lambda: None

    def assigned(self, starts: Mapping[TopicPartition, CommitOffset]) -> None:
        self.told.append(("assigned", sorted(starts)))
        self.starts.update(starts)

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.on_revoke()
        self.told.append(("revoked", sorted(partitions)))

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.told.append(("lost", sorted(partitions)))

    def asked(self) -> None:
        self.on_asked()

    def kinds(self) -> list[str]:
        return [kind for kind, partitions in self.told if partitions]
