"""Stretches of several partitions cut by time, so that they can be shown in order without being held whole."""

from collections.abc import Callable, Iterator, Mapping

from streamproc.records.record import TopicPartition

Stretches = Mapping[TopicPartition, range]


def slices(
    stretches: Stretches, first_ms: int, end_ms: int, at: Callable[[int], Mapping[TopicPartition, int]], most: int
) -> Iterator[Stretches]:
    """Pieces of at most ``most`` offsets, or of one millisecond, the earliest first; together they are all of it.

    ``at`` tells the first offset of a time (ms since the epoch) or later. What is outside of the two times is in the
    first piece or the last.
    """
    if end_ms - first_ms <= 1 or sum(map(len, stretches.values())) <= most:
        if any(stretches.values()):
            yield stretches
        return
    middle = (first_ms + end_ms) // 2
    found = at(middle)
    cuts = {p: min(max(found[p], one.start), one.stop) for p, one in stretches.items()}
    before = {p: range(one.start, cuts[p]) for p, one in stretches.items()}
    behind = {p: range(cuts[p], one.stop) for p, one in stretches.items()}
    yield from slices(before, first_ms, middle, at, most)
    yield from slices(behind, middle, end_ms, at, most)
