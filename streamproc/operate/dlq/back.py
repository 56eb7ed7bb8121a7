"""Which dead letters were put back: told by records that are written in the transactions that put them back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamproc.errors import StreamprocError
from streamproc.kafka.log import Log
from streamproc.kafka.messages import whole
from streamproc.operate.foreign import Foreign
from streamproc.records.record import OutputRecord, Record, TopicPartition
from streamproc.settings import TopicSettings

CLOCKS_MS = 3_600_000
"""How far the clock of who replays may be behind that of who gave a letter up: notes are looked for from then on."""


class UndecidedError(StreamprocError):
    """Raised when nobody can say which letters were put back: a transaction that notes some is open."""

    def __init__(self, topic: str, waited_s: float) -> None:
        super().__init__(
            f"{topic} has a transaction that was neither committed nor aborted within {waited_s:g} s, so the same "
            "letters could go back twice. Another program writes there, or a `dlq replay` of an older version: wait "
            "for it (`kafka-transactions.sh find-hanging`, or `list`, names it), then do this again"
        )


@dataclass(frozen=True, slots=True)
class Went:
    """The transaction that put a letter back. Times in ms since the epoch."""

    began_ms: int
    """No original was written earlier."""
    at_ms: int
    """When it was noted, which is after its originals."""
    newest_ms: int
    """When the newest of its letters was given up. One that is newer still is none of them, whatever its offset: the
    dead-letter topic was made anew."""


@dataclass(frozen=True, slots=True)
class Note:
    """What one transaction put back of one partition of the dead-letter topic."""

    runs: NDArray[np.int64]
    """A row for each: the first letter, and the offset behind the last. No letter in between stayed."""
    went: Went


class Back:
    """What was put back so far, of some letters. ``undecided``: more may have been, which nobody can see yet."""

    def __init__(self, notes: Mapping[TopicPartition, Sequence[Note]], *, undecided: bool = False) -> None:
        self._places = {place: _Partition(some) for place, some in notes.items() if some}
        self.undecided = undecided

    def find(self, partition: TopicPartition, offset: int, given_up_ms: int) -> Went | None:
        """How the letter at a place went back, which was given up at that time; None when it did not."""
        found = self._places.get(partition)
        return None if found is None else found.find(offset, given_up_ms)


class _Partition:
    """The runs of one partition, by their first letters: a million of them have to be read within a second."""

    def __init__(self, notes: Sequence[Note]) -> None:
        runs = np.concatenate([note.runs for note in notes])
        by_first = np.argsort(runs[:, 0], kind="stable")
        self._first, self._end = runs[by_first, 0], runs[by_first, 1]
        self._note = np.repeat(np.arange(len(notes)), [len(note.runs) for note in notes])[by_first]
        self._went = [note.went for note in notes]
        # Runs meet only where a topic was made anew: one that begins earlier may then reach further.
        self._reach = np.maximum.accumulate(self._end)

    def find(self, offset: int, given_up_ms: int) -> Went | None:
        at = int(np.searchsorted(self._first, offset, side="right")) - 1
        while at >= 0 and self._reach[at] > offset:
            went: Went = self._went[self._note[at]]
            if self._end[at] > offset and given_up_ms <= went.newest_ms:
                return went
            at -= 1
        return None


def note(
    topic: str, partition: TopicPartition, runs: Sequence[range], *, began_ms: int, newest_ms: int
) -> OutputRecord:
    """The record that tells of letters of one partition of the dead-letter topic, the newest of them of ``newest_ms``.

    ``began_ms`` is before their originals are written.
    """
    told = {"put_back": [[run.start, run.stop] for run in runs], "began_ms": began_ms, "newest_ms": newest_ms}
    return OutputRecord(topic, str(partition).encode(), json.dumps(told, separators=(",", ":")).encode())


def read_back(
    log: Log,
    topics: TopicSettings,
    foreign: Foreign,
    letters: Mapping[TopicPartition, range],
    since_ms: int,
    patience_s: float,
) -> Back:
    """What replays noted of some letters, of which none was given up before ``since_ms``.

    Transactions that are open are waited for so long at most. Raises UsageError, DependencyDownError.
    """
    if not any(letters.values()):
        return Back({})
    partitions = log.partitions(topics.replays)
    undecided = not log.settled(partitions, patience_s)
    ends = log.bounds(partitions)
    starts = log.at(partitions, max(0, since_ms - CLOCKS_MS))
    notes: dict[TopicPartition, list[Note]] = {}
    for some in log.read({p: range(starts[p], ends[p].stop) for p in partitions}, whole):
        for record in some:
            try:
                partition = _partition(record)
                told = _read(record, letters[partition]) if letters.get(partition) else None
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                foreign.note(record, f"is no note of a replay: {type(error).__name__}: {error}")
            else:
                if told is not None and len(told.runs) and told.went.newest_ms >= since_ms:
                    notes.setdefault(partition, []).append(told)
    return Back(notes, undecided=undecided)


def _partition(record: Record) -> TopicPartition:
    topic, _, number = (record.key or b"").decode().rpartition("/")
    return TopicPartition(topic, int(number))


def _read(record: Record, letters: range) -> Note:
    """The note, without runs that have none of the letters."""
    told = json.loads(record.value or b"")
    runs = np.asarray(told["put_back"], dtype=np.int64).reshape(-1, 2)
    runs = runs[(runs[:, 1] > letters.start) & (runs[:, 0] < letters.stop)]
    return Note(runs, Went(int(told["began_ms"]), record.timestamp_ms, int(told["newest_ms"])))
