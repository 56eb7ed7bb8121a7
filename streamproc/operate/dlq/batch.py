"""The letters of one transaction."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from streamproc.operate.dlq.back import note
from streamproc.operate.dlq.letter import Letter
from streamproc.records.record import OutputRecord, TopicPartition


@dataclass(slots=True)
class _Went:
    """Letters of one partition."""

    runs: list[range] = field(default_factory=list)
    newest_ms: int = 0
    parted: bool = False
    """Whether a letter stayed after the last one."""


class Batch:
    """Originals that go back together, and what is noted of their letters. Letters of a partition come in order."""

    def __init__(self) -> None:
        self.taken: list[tuple[Letter, OutputRecord]] = []
        self._went: dict[TopicPartition, _Went] = {}

    def take(self, letter: Letter, original: OutputRecord) -> None:
        """Add a letter: one run with the one before when none between them stayed."""
        offset = letter.record.offset
        went = self._went.setdefault(letter.record.source, _Went())
        if went.runs and not went.parted:
            went.runs[-1] = range(went.runs[-1].start, offset + 1)
        else:
            went.runs.append(range(offset, offset + 1))
        went.parted = False
        went.newest_ms = max(went.newest_ms, letter.told.at_ms)
        self.taken.append((letter, original))

    def leave(self, letter: Letter) -> None:
        """Let a letter stay where it is."""
        if (went := self._went.get(letter.record.source)) is not None:
            went.parted = True

    def records(self, topic: str, began_ms: int) -> Iterator[OutputRecord]:
        """What a transaction that begins now writes: notes behind the originals that they tell of."""
        yield from (original for _, original in self.taken)
        for partition, went in self._went.items():
            yield note(topic, partition, went.runs, began_ms=began_ms, newest_ms=went.newest_ms)
