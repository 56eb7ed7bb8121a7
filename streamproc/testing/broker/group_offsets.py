"""The offsets of one group: what counts, and what an open transaction may make count."""

from collections.abc import Iterable, Mapping, Sequence

from streamproc.records.record import CommitOffset, TopicPartition
from streamproc.testing.broker.errors import Refusal, RefusedError
from streamproc.testing.broker.log import Transaction


class GroupOffsets:
    """Later writes win, by the order in which they were sent and not by that in which they came to count."""

    def __init__(self) -> None:
        self._committed: dict[TopicPartition, tuple[int, CommitOffset]] = {}
        self._pending: dict[TopicPartition, dict[Transaction, tuple[int, CommitOffset]]] = {}
        self._sent = 0

    def committed(self, partition: TopicPartition) -> CommitOffset | None:
        """What counts now."""
        found = self._committed.get(partition)
        return None if found is None else found[1]

    def commit(self, offsets: Iterable[CommitOffset]) -> None:
        """Let offsets count at once."""
        for offset in offsets:
            self._sent += 1
            self._committed[TopicPartition(offset.topic, offset.partition)] = (self._sent, offset)

    def hold(self, transaction: Transaction, offsets: Iterable[CommitOffset]) -> None:
        """Keep offsets until their transaction ends."""
        for offset in offsets:
            self._sent += 1
            partition = TopicPartition(offset.topic, offset.partition)
            self._pending.setdefault(partition, {})[transaction] = (self._sent, offset)

    def end(self, transaction: Transaction) -> None:
        """Let what a transaction holds count, or forget it."""
        for partition, held in list(self._pending.items()):
            found = held.pop(transaction, None)
            if not held:
                del self._pending[partition]
            if found is None or not transaction.committed:
                continue
            before = self._committed.get(partition)
            if before is None or before[0] < found[0]:
                self._committed[partition] = found

    def fetch(self, partitions: Sequence[TopicPartition]) -> Mapping[TopicPartition, CommitOffset]:
        """What counts of these, without those that have none.

        Raises RefusedError (UNSTABLE_OFFSET_COMMIT) while an open transaction may change one of them.
        """
        for partition in partitions:
            if partition in self._pending:
                raise RefusedError(Refusal.UNSTABLE_OFFSET_COMMIT, f"a transaction over {partition} is open")
        return {p: self._committed[p][1] for p in partitions if p in self._committed}
