from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import chain, pairwise

from hypothesis import given
from hypothesis import strategies as st

from streamproc.operate.dlq.slices import slices
from streamproc.records.record import TopicPartition

times = st.lists(st.integers(0, 100), max_size=30).map(sorted)


@given(st.lists(times, min_size=1, max_size=3), st.integers(1, 8), st.integers(0, 60))
def test_pieces_are_all_of_it_in_order_and_small(letters: Sequence[Sequence[int]], most: int, first_ms: int) -> None:
    places = [TopicPartition("in.dlq", number) for number in range(len(letters))]
    stretches = {place: range(len(some)) for place, some in zip(places, letters, strict=True)}

    def at(at_ms: int) -> Mapping[TopicPartition, int]:
        return {place: bisect_left(some, at_ms) for place, some in zip(places, letters, strict=True)}

    pieces = [*slices(stretches, first_ms, 80, at, most)]
    read: list[list[tuple[TopicPartition, int]]] = [[(p, o) for p, one in some.items() for o in one] for some in pieces]
    assert sorted(chain.from_iterable(read)) == sorted((p, o) for p, one in stretches.items() for o in one)
    spans = [[letters[place.partition][offset] for place, offset in some] for some in read]
    assert all(spans)
    for earlier, later in pairwise(spans):
        assert max(earlier) <= min(later)
    for some in spans[1:-1]:
        assert len(some) <= most or len({*some}) == 1
