"""Which dead letters were put back: told by records that are written in the transactions that put them back."""

import json
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from streamproc.errors import UsageError
from streamproc.kafka.log import Log
from streamproc.kafka.messages import whole
from streamproc.operate.foreign import Foreign
from streamproc.records.record import OutputRecord, Record, TopicPartition
from streamproc.settings import TopicSettings

PATIENCE_S = 10.0
"""For a transaction of a replay that runs to be decided."""
_FIELD = "put_back"


@dataclass(frozen=True, order=True, slots=True)
class Run:
    """Letters ``first`` up to ``end``, which is outside, of one partition: none in between stayed."""

    first: int
    end: int
    at_ms: int
    """When they were put back, in ms since the epoch."""


class Back:
    """What was put back so far."""

    def __init__(self, runs: Mapping[TopicPartition, Iterable[Run]]) -> None:
        self._runs: Mapping[TopicPartition, Sequence[Run]] = {place: sorted(some) for place, some in runs.items()}

    def when(self, partition: TopicPartition, offset: int) -> int | None:
        """When the letter at a place was put back; None when it was not."""
        runs = self._runs.get(partition, ())
        place = bisect_right(runs, offset, key=lambda run: run.first)
        found = runs[place - 1] if place else None
        return found.at_ms if found is not None and offset < found.end else None

    def ends(self) -> Mapping[TopicPartition, int]:
        """Behind the last letter of each partition that was put back."""
        return {place: max(run.end for run in some) for place, some in self._runs.items() if some}


def note(topic: str, partition: TopicPartition, runs: Sequence[range]) -> OutputRecord:
    """The record that tells of letters of one partition of the dead-letter topic."""
    value = json.dumps({_FIELD: [[run.start, run.stop] for run in runs]}, separators=(",", ":"))
    return OutputRecord(topic, str(partition).encode(), value.encode())


def read_back(log: Log, topics: TopicSettings, foreign: Foreign) -> Back:
    """Everything that replays noted. Raises UsageError, DependencyDownError."""
    runs: dict[TopicPartition, list[Run]] = {}
    for some in log.read(log.decided(log.partitions(topics.replays), PATIENCE_S), whole):
        for record in some:
            try:
                partition, told = _read(record)
            except (ValueError, KeyError, TypeError) as error:
                foreign.note(record, f"is no note of a replay: {type(error).__name__}: {error}")
            else:
                runs.setdefault(partition, []).extend(told)
    back = Back(runs)
    ends = log.bounds(log.partitions(topics.dead_letters))
    for partition, end in back.ends().items():
        if partition in ends and end > ends[partition].stop:
            raise UsageError(
                f"{topics.replays} tells of letters behind the end of {partition}: that topic was made anew. "
                "Who deletes the dead letters deletes what was noted of them, too"
            )
    return back


def _read(record: Record) -> tuple[TopicPartition, Sequence[Run]]:
    topic, _, number = (record.key or b"").decode().rpartition("/")
    spans = json.loads(record.value or b"")[_FIELD]
    runs = [Run(int(first), int(end), record.timestamp_ms) for first, end in spans]
    return TopicPartition(topic, int(number)), runs
