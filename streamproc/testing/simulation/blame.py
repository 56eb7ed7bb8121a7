"""Who may be blamed: which ends of owners a recording of the plan brought about, and which others struck."""

from collections import Counter
from collections.abc import Iterable

from streamproc.records.record import CommitOffset, TopicPartition
from streamproc.testing.simulation.recordings import Announced
from streamproc.worker.core.strikes import CONDEMNED_AFTER
from streamproc.worker.stages.infer import MOST_STRIKES
from streamproc.worker.stages.prepare import MOST_DEATHS


class Blame:
    """Counts what can make a good record look like one that kills: faults alone, never what its neighbours kill."""

    def __init__(self) -> None:
        self.decoders: Counter[bytes] = Counter()
        """Children that a fault ended, by the body that they had."""
        self.devices: Counter[object] = Counter()
        """Devices that a fault ended, by the worker they belonged to."""
        self._killed: set[TopicPartition] = set()
        """Partitions whose last owner was ended by a recording."""
        self._begun: Counter[tuple[TopicPartition, int]] = Counter()
        """Owners that began at an offset after anything else."""

    def killed(self, partitions: Iterable[TopicPartition]) -> None:
        """A recording ended the owner of these."""
        self._killed.update(partitions)

    def assigned(self, starts: Iterable[CommitOffset]) -> None:
        """Somebody owns partitions from here on."""
        for start in starts:
            place = TopicPartition(start.topic, start.partition)
            if place in self._killed:
                self._killed.remove(place)
            else:
                self._begun[place, start.offset] += 1

    def excuses(self, place: TopicPartition, offset: int, announced: Announced) -> bool:
        """Whether faults alone can have made this record look like one that kills."""
        return (
            self._begun[place, offset] >= CONDEMNED_AFTER
            or self.decoders[announced.body or b""] >= MOST_DEATHS
            or max(self.devices.values(), default=0) >= MOST_STRIKES
        )
