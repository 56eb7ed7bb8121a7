"""Transactions over the broker itself: who may write, what counts, and when it is given up."""

import pytest

from streamproc.testing.broker.errors import BrokerUnavailable, Refusal, RefusedError
from streamproc.testing.broker.values import Commit
from tests.unit.testing.broker.world import GROUP, TRANSACTION_S, World, offset

ID = "upstream"


@pytest.fixture
def world() -> World:
    return World()


def begin(world: World, transactional_id: str = ID) -> int:
    return world.broker.init_transactions(transactional_id, TRANSACTION_S)


def write(world: World, epoch: int, value: bytes = b"v", transactional_id: str = ID) -> None:
    world.broker.produce(transactional_id, epoch, "out", 0, None, value)


def fenced(world: World, epoch: int) -> None:
    with pytest.raises(RefusedError) as refused:
        write(world, epoch)
    assert refused.value.refusal is Refusal.PRODUCER_FENCED
    for commit in (True, False):
        with pytest.raises(RefusedError) as refused:
            world.broker.end_transaction(ID, epoch, commit=commit)
        assert refused.value.refusal is Refusal.PRODUCER_FENCED


def test_a_committed_transaction_is_visible_as_a_whole_and_an_aborted_one_is_not(world: World) -> None:
    epoch = begin(world)
    write(world, epoch, b"1")
    world.broker.append("out", 0, None, b"2")
    assert world.visible() == []
    world.broker.end_transaction(ID, epoch, commit=True)
    assert world.visible() == [b"1", b"2"]
    write(world, epoch, b"3")
    world.broker.end_transaction(ID, epoch, commit=False)
    assert world.visible() == [b"1", b"2"]
    assert [record.offset for record in world.broker.read("out", 0, "read_uncommitted")] == [0, 1, 3]


def test_a_successor_aborts_what_is_open_and_fences_its_predecessor(world: World) -> None:
    epoch = begin(world)
    write(world, epoch, b"1")
    assert begin(world) == epoch + 1
    fenced(world, epoch)
    write(world, epoch + 1, b"2")
    world.broker.end_transaction(ID, epoch + 1, commit=True)
    assert world.visible() == [b"2"]


def test_an_id_that_nobody_took_may_not_write(world: World) -> None:
    fenced(world, 0)
    assert world.broker.read("out", 0, "read_uncommitted") == []


def test_a_transaction_that_takes_too_long_is_aborted_at_the_next_look_and_its_producer_fenced(world: World) -> None:
    epoch = begin(world)
    world.clock.advance(3)
    write(world, epoch)
    world.broker.append("out", 0, None, b"behind it")
    world.clock.advance(TRANSACTION_S + 6.9)  # the broker looks every 10 s
    world.broker.act()
    assert world.visible() == []
    world.clock.advance(0.2)
    world.broker.act()
    assert world.visible() == [b"behind it"]
    fenced(world, epoch)


def test_a_transaction_that_ends_in_time_is_left_alone(world: World) -> None:
    epoch = begin(world)
    write(world, epoch)
    world.broker.end_transaction(ID, epoch, commit=True)
    world.clock.advance(TRANSACTION_S)
    write(world, epoch, b"next")
    world.clock.advance(TRANSACTION_S - 1)
    world.broker.end_transaction(ID, epoch, commit=True)
    assert world.visible() == [b"v", b"next"]


def test_offsets_count_when_their_transaction_is_committed_and_are_not_told_before(world: World) -> None:
    world.publish(9)
    source = world.source()
    world.poll(source)
    epoch = begin(world)
    world.broker.send_offsets(ID, epoch, source.group_metadata(), [offset(5, metadata="m")])
    assert world.committed() is None
    with pytest.raises(RefusedError) as refused:
        world.broker.fetch_offsets(source.group_metadata(), world.partitions)
    assert refused.value.refusal is Refusal.UNSTABLE_OFFSET_COMMIT
    assert world.broker.fetch_offsets(source.group_metadata(), world.partitions[1:]) == [offset(0, 1)]
    world.broker.end_transaction(ID, epoch, commit=True)
    assert world.broker.fetch_offsets(source.group_metadata(), world.partitions) == [
        offset(5, metadata="m"),
        offset(0, 1),
    ]


def test_offsets_of_an_aborted_transaction_are_forgotten(world: World) -> None:
    source = world.source()
    world.poll(source)
    epoch = begin(world)
    world.broker.send_offsets(ID, epoch, source.group_metadata(), [offset(5)])
    world.broker.end_transaction(ID, epoch, commit=False)
    assert world.broker.fetch_offsets(source.group_metadata(), world.partitions[:1]) == [offset(0)]


def test_of_two_commits_the_one_sent_later_counts(world: World) -> None:
    source = world.source()
    world.poll(source)
    epoch = begin(world)
    world.broker.send_offsets(ID, epoch, source.group_metadata(), [offset(5)])
    world.broker.commit_offsets(source.group_metadata(), [offset(7)])
    world.broker.end_transaction(ID, epoch, commit=True)
    assert world.committed() == 7


def test_observers_see_what_counts_when_it_counts(world: World) -> None:
    seen: list[Commit] = []
    world.broker.observers.append(seen.append)
    world.publish(9)
    source = world.source()
    world.poll(source)
    epoch = begin(world)
    write(world, epoch)
    world.broker.send_offsets(ID, epoch, source.group_metadata(), [offset(5)])
    holder = source.member_id
    world.broker.evict(holder)
    assert seen == []
    world.broker.end_transaction(ID, epoch, commit=True)
    (commit,) = seen
    assert (commit.transactional_id, commit.producer_epoch) == (ID, epoch)
    assert (commit.group, commit.member_id) == (GROUP, holder)
    assert [(record.offset, record.value) for record in commit.outputs] == [(0, b"v")]
    assert commit.offsets == (("in", 0, 5, "", None, holder, None),)
    world.poll(source)
    world.broker.commit_offsets(source.group_metadata(), [offset(6)])
    assert seen[1].transactional_id is None
    assert [(o.before, o.offset, o.owner) for o in seen[1].offsets] == [(5, 6, source.member_id)]


def test_an_aborted_transaction_is_not_observed(world: World) -> None:
    seen: list[Commit] = []
    world.broker.observers.append(seen.append)
    epoch = begin(world)
    write(world, epoch)
    world.broker.end_transaction(ID, epoch, commit=False)
    write(world, epoch)
    begin(world)
    assert seen == []


def test_what_is_open_survives_an_outage_and_is_given_up_after_it(world: World) -> None:
    epoch = begin(world)
    write(world, epoch, b"1")
    world.broker.down = True
    world.clock.advance(TRANSACTION_S - 1)
    with pytest.raises(BrokerUnavailable):
        write(world, epoch, b"2")
    world.broker.down = False
    world.broker.end_transaction(ID, epoch, commit=True)
    assert world.visible() == [b"1"]
    write(world, epoch, b"3")
    world.broker.down = True
    world.clock.advance(5 * TRANSACTION_S)
    world.broker.down = False
    world.clock.advance(TRANSACTION_S)
    fenced(world, epoch)
    assert world.visible() == [b"1"]
