from hypothesis import given
from hypothesis import strategies as st

from streamproc.records.record import TopicPartition
from streamproc.testing.broker.assignor import balance

PARTITIONS = [TopicPartition("in", n) for n in range(12)]


def test_nobody_gets_nothing() -> None:
    assert balance(PARTITIONS, [], {}) == {}


def test_a_newcomer_gets_its_share_and_nothing_else_moves() -> None:
    before = {p: "a" if p.partition < 6 else "b" for p in PARTITIONS}
    after = balance(PARTITIONS, ["a", "b", "c"], before)
    assert [len(after[member]) for member in "abc"] == [4, 4, 4]
    assert all(before[p] == member for member in "ab" for p in after[member])


@given(st.integers(0, 12), st.integers(1, 5), st.lists(st.integers(0, 6), min_size=12, max_size=12))
def test_every_partition_has_one_owner_shares_differ_by_one_and_no_move_is_needless(
    count: int, members: int, holders: list[int]
) -> None:
    partitions = PARTITIONS[:count]
    names = [f"m{n}" for n in range(members)]
    current = {p: f"m{holder}" for p, holder in zip(PARTITIONS, holders, strict=True)}
    given_to = balance(partitions, names, current)
    assert sorted(p for got in given_to.values() for p in got) == partitions
    sizes = [len(got) for got in given_to.values()]
    assert max(sizes) - min(sizes) <= 1
    for name, got in given_to.items():
        had = [p for p in partitions if current[p] == name]
        assert not ([p for p in got if p not in had] and [p for p in had if p not in got])
