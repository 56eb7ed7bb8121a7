"""Which offsets an audit is about: bounds as people write them, and what is there of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from streamproc.errors import UsageError
from streamproc.kafka.log import Log
from streamproc.kafka.messages import stamped
from streamproc.operate.audit.finding import Unseen
from streamproc.operate.since import parse_since
from streamproc.records.record import TopicPartition


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as a bound, in ms since the epoch."""

    at_ms: int


_FEW = 100
"""Offsets that are looked through at first for a record: of the backlog of a group that is one."""
Bound = int | Moment
"""An offset, or a time."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked for. Without a bound: from the first record that is kept, up to what the group has committed."""

    partition: int | None = None
    first: Bound | None = None
    end: Bound | None = None
    """Outside of the window."""


def parse_bound(text: str, now_ms: int) -> Bound:
    """An offset, or a time as ``parse_since`` takes it. Raises UsageError."""
    return int(text) if text.isdecimal() else Moment(parse_since(text, now_ms))


def select(partitions: Sequence[TopicPartition], selection: Selection) -> Sequence[TopicPartition]:
    """The partitions that are asked for. Raises UsageError for one that is not there, or an offset of nobody's."""
    if selection.partition is None:
        if len(partitions) > 1 and any(isinstance(bound, int) for bound in (selection.first, selection.end)):
            raise UsageError("an offset is one partition's: say which with --partition, or give times")
        return partitions
    chosen = [partition for partition in partitions if partition.partition == selection.partition]
    if not chosen:
        raise UsageError(f"{partitions[0].topic} has partitions 0 to {len(partitions) - 1}, not {selection.partition}")
    return chosen


def windows(
    log: Log, kept: Mapping[TopicPartition, range], committed: Mapping[TopicPartition, int], selection: Selection
) -> Mapping[TopicPartition, range]:
    """Per partition, what is asked for, whether it can be seen or not.

    Where the group has committed nothing that is everything: a group of another name has done nothing. Raises
    UsageError for a window that ends before it begins, or begins where nothing is yet.
    """
    since, until = selection.first, selection.end
    # Their offsets tell that only where records stand between the two.
    if isinstance(since, Moment) and isinstance(until, Moment) and since.at_ms > until.at_ms:
        raise UsageError("the window ends before it begins: turn the two times round")
    firsts, ends = _bounds(log, kept, since), _bounds(log, kept, until)
    found = {}
    for partition, stretch in kept.items():
        done = max(committed.get(partition, stretch.stop), stretch.start)
        first, end = firsts.get(partition, stretch.start), ends.get(partition, done)
        if selection.end is not None and first > end:
            raise UsageError(f"the window of {partition} begins at offset {first} and ends at {end}: turn them round")
        if isinstance(selection.first, int) and first > stretch.stop:
            raise UsageError(f"{partition} ends at offset {stretch.stop}: nothing is at {first} yet")
        if selection.end is None and done < first:
            end = stretch.stop  # the group stands still before it: nothing of the window is proved
        if isinstance(selection.first, Moment) and first == stretch.start:
            first = 0  # what retention has passed may have been of that time as well
        found[partition] = range(first, max(first, end))
    return found


def reached(
    log: Log, kept: Mapping[TopicPartition, range], committed: Mapping[TopicPartition, int]
) -> Mapping[TopicPartition, int]:
    """How far the group has come, of partitions that it need do nothing of any more, or has done any: its next record.

    The end where there is none. Nobody ever commits what stands behind the last record: marks of transactions, and what
    was aborted. Nor is it ever further than the end, whatever the group has committed. Raises GoneError,
    DependencyDownError.
    """
    found, span = {p: min(offset, kept[p].stop) for p, offset in committed.items()}, _FEW
    left = {p: range(max(committed.get(p, 0), stretch.start), stretch.stop) for p, stretch in kept.items()}
    while left := {p: rest for p, rest in left.items() if rest}:
        near = {p: rest[:span] for p, rest in left.items()}
        firsts: dict[TopicPartition, int] = {}
        for some in log.read(near, stamped):
            for partition, offset, _ in some:
                firsts.setdefault(partition, offset)
        found |= {p: firsts[p] for p in firsts.keys() & committed.keys()}
        found |= {p: rest.stop for p, rest in left.items() if p not in firsts and near[p] == rest}
        left = {p: rest[span:] for p, rest in left.items() if p not in firsts}
        span *= _FEW
    return found


def visible(window: range, kept: range, done: int) -> range:
    """The part of a window that has its records, and whose offsets are committed."""
    first = max(window.start, kept.start)
    return range(first, max(first, min(window.stop, done)))


def unseen(partition: TopicPartition, window: range, kept: range, done: int) -> Iterator[Unseen]:
    """The parts of a window that are not visible."""
    gone, waiting = range(window.start, min(window.stop, kept.start)), range(max(window.start, done), window.stop)
    if gone:
        yield Unseen(partition, gone.start, gone.stop - 1, "retention has passed these offsets")
    if waiting:
        yield Unseen(partition, waiting.start, waiting.stop - 1, "not committed yet")


def waiting(window: range, kept: range, done: int) -> int:
    """Offsets that the group has not come to, and that nobody asked about."""
    first = max(done, kept.start)
    asked = max(0, min(window.stop, kept.stop) - max(window.start, first))
    return max(0, kept.stop - first) - asked


def _bounds(log: Log, kept: Mapping[TopicPartition, range], bound: Bound | None) -> Mapping[TopicPartition, int]:
    if bound is None:
        return {}
    if isinstance(bound, int):
        return dict.fromkeys(kept, bound)
    return log.at(kept, bound.at_ms)
