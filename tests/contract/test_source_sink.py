"""What every source and sink do on every broker, the one in memory and the real Kafka, under both group protocols."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from functools import partial

import pytest

from streamproc.errors import AbortedError, FatalError, FencedError
from streamproc.records.record import CommitOffset, OutputRecord, TopicPartition
from tests.beside import beside
from tests.contract.worlds import (
    PARTITIONS,
    PATIENCE_S,
    SESSION_S,
    AnySource,
    World,
    everything_read,
    poll_for,
    poll_until,
    worlds,
)
from tests.owner import Owner

SHORT_POLL_S = SESSION_S + 1
SHORT_TRANSACTION_S = 3.0


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.servers)])
def broker(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=["consumer", "classic"])
def world(request: pytest.FixtureRequest, broker: str) -> Iterator[World]:
    yield from worlds(request.param, request.getfixturevalue("servers") if broker == "kafka" else None)


@pytest.fixture
def owner() -> Owner:
    return Owner()


def outputs(world: World, *values: bytes) -> list[OutputRecord]:
    return [OutputRecord(world.results, b"k", value) for value in values]


def place(world: World, offset: int, partition: int = 0, metadata: str = "") -> CommitOffset:
    return CommitOffset(world.topic, partition, offset, metadata)


def name(world: World, partition: int) -> TopicPartition:
    return TopicPartition(world.topic, partition)


def goes_through(commit: Callable[[], None]) -> bool:
    try:
        commit()
    except AbortedError:
        return False
    return True


def commit_beside(world: World, source: AnySource, *offsets: CommitOffset) -> Future[None]:
    """Commit as a worker does, on another thread; asked of the source, not yet made."""
    sink = world.plain_sink(source)
    sink.open()
    membership = source.group_metadata()
    answer = beside(lambda: sink.commit(outputs(world, b"1", b"2"), offsets, membership))
    while not source._commits._waiting:
        assert not answer.done()
        wait([answer], 0.01)
    return answer


def drive_until(answer: Future[None], source: AnySource, how: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not answer.done():
        assert time.monotonic() < end
        if how == "polls":
            source.poll(10, 0.1)
        else:
            source.serve()
        wait([answer], 0.01)


# --- the group -------------------------------------------------------------------------------------------------------


def test_a_partition_is_handed_over_once_its_owner_let_go_and_comes_back_when_the_other_leaves(
    world: World, owner: Owner
) -> None:
    world.publish(4, 0)
    world.publish(4, 1)
    first, other_owner = world.source(owner), Owner()
    poll_until(world, [first], everything_read(first))
    second = world.source(other_owner)
    owner.on_revoke = lambda: told_before.extend(other_owner.kinds())
    told_before: list[str] = []
    records = poll_until(
        world, [first, second], lambda taken: len(first.owned) == len(second.owned) == 1 and len(taken) == 4
    )
    assert told_before == []
    assert {record.source for record in records} == second.owned
    assert owner.kinds() == ["assigned", "revoked"]
    second.close()
    assert other_owner.kinds() == ["assigned", "revoked"]
    poll_until(world, [first], everything_read(first))
    assert owner.kinds() == ["assigned", "revoked", "assigned"]


def test_who_polls_too_late_is_told_that_everything_is_lost_and_may_not_commit_it(world: World, owner: Owner) -> None:
    world.publish(4, 0)
    world.publish(4, 1)
    first, second = world.source(owner, SHORT_POLL_S), world.source(Owner())
    poll_until(world, [first, second], lambda _: len(first.owned) == len(second.owned) == 1)
    (held,) = first.owned
    stale = first.group_metadata()
    told = owner.kinds()
    poll_until(world, [second], lambda _: len(second.owned) == PARTITIONS)
    assert owner.kinds() == told  # it cannot know before it polls
    sink = world.sink(0)
    with pytest.raises(AbortedError):
        sink.commit(outputs(world, b"1"), [place(world, 1, held.partition)], stale)
    poll_until(world, [first, second], lambda _: "lost" in owner.kinds()[len(told) :] and len(first.owned) == 1)
    assert world.visible() == []


def test_the_pause_set_is_kept_over_a_rebalance(world: World, owner: Owner) -> None:
    source = world.source(owner)
    poll_until(world, [source], everything_read(source))
    source.pause(frozenset({name(world, 0), name(world, 1)}))
    second = world.source(Owner())
    poll_until(world, [source, second], lambda _: len(source.owned) == len(second.owned) == 1)
    second.close()
    poll_until(world, [source], lambda _: len(source.owned) == PARTITIONS)
    world.publish(2, 0)
    world.publish(2, 1)
    assert poll_for(world, [source], 1.5) == []
    source.pause(frozenset({name(world, 0)}))
    held = poll_until(world, [source], lambda taken: len(taken) == 2)
    assert {record.source for record in held} == {name(world, 1)}
    source.pause(frozenset())
    freed = poll_until(world, [source], lambda taken: len(taken) == 2)
    assert {record.source for record in freed} == {name(world, 0)}


# --- where reading starts --------------------------------------------------------------------------------------------


def test_without_a_commit_it_starts_at_the_first_record_that_is_there(world: World, owner: Owner) -> None:
    world.publish(6, 0)
    world.publish(6, 1)
    world.delete_before(name(world, 1), 4)
    source = world.source(owner)
    records = poll_until(world, [source], everything_read(source))
    assert owner.starts == {name(world, 0): place(world, 0), name(world, 1): place(world, 4, 1)}
    assert sorted((r.partition, r.offset) for r in records) == [*((0, n) for n in range(6)), (1, 4), (1, 5)]


def test_with_a_commit_it_starts_there_with_its_metadata(world: World, owner: Owner) -> None:
    world.publish(6)
    source = world.source(Owner())
    poll_until(world, [source], everything_read(source))
    world.sink(0).commit([], [place(world, 4, metadata='{"open":9}')], source.group_metadata())
    source.close()
    source = world.source(owner)
    records = poll_until(world, [source], everything_read(source))
    assert owner.starts[name(world, 0)] == place(world, 4, metadata='{"open":9}')
    assert [record.offset for record in records] == [4, 5]


def test_aborted_and_control_records_take_offsets_and_are_not_delivered(world: World, owner: Owner) -> None:
    world.publish_in_transaction(2, commit=False)
    world.publish_in_transaction(2, commit=True)
    world.publish(1)
    source = world.source(owner)
    records = poll_until(world, [source], everything_read(source))
    assert [(record.offset, record.value) for record in records] == [(3, b"0"), (4, b"1"), (6, b"0")]
    assert source.drained[name(world, 0)] == 7


def test_a_partition_that_ends_with_marks_of_transactions_is_drained_up_to_behind_them(
    world: World, owner: Owner
) -> None:
    world.publish(1)
    world.publish_in_transaction(2, commit=False)
    source = world.source(owner)
    assert source.drained == {}
    records = poll_until(world, [source], everything_read(source))
    assert [record.offset for record in records] == [0]
    assert source.drained[name(world, 0)] == 4
    world.publish(1)
    poll_until(world, [source], bool)
    poll_until(world, [source], everything_read(source))
    assert source.drained[name(world, 0)] == 5


def test_it_waits_for_a_transaction_over_its_start_and_starts_where_that_ended(world: World, owner: Owner) -> None:
    world.publish(9)
    source = world.source(Owner())
    poll_until(world, [source], everything_read(source))
    held = world.hold(place(world, 5), source)
    source.close()
    held.end(commit=True)
    source = world.source(owner)
    poll_until(world, [source], everything_read(source))
    assert owner.starts[name(world, 0)].offset == 5


def test_it_waits_until_an_abandoned_transaction_is_given_up_and_starts_before_it(world: World, owner: Owner) -> None:
    world.publish(9)
    source = world.source(Owner())
    poll_until(world, [source], everything_read(source))
    began = world.now()
    held = world.hold(place(world, 5), source, SHORT_TRANSACTION_S)
    source.close()
    source = world.source(owner)
    poll_until(world, [source], everything_read(source))
    assert world.now() - began > SHORT_TRANSACTION_S
    assert owner.starts[name(world, 0)].offset == 0
    with pytest.raises(Exception, match=r"(?i)fenced|epoch"):
        held.end(commit=True)


def test_an_offset_that_is_not_there_is_fatal_and_says_what_was_lost(world: World, owner: Owner) -> None:
    world.publish(9)
    source = world.source(Owner())
    poll_until(world, [source], everything_read(source))
    world.plain_sink(source).commit([], [place(world, 2)], source.group_metadata())
    source.close()
    world.delete_before(name(world, 0), 5)
    source = world.source(owner)
    with pytest.raises(FatalError, match=rf"{world.topic}/0 was to be read from offset 2.*first record is now 5"):
        poll_until(world, [source], lambda _: False)


# --- transactions ----------------------------------------------------------------------------------------------------


def test_outputs_and_offsets_become_visible_together_or_not_at_all(world: World, owner: Owner) -> None:
    world.publish(9)
    source = world.source(Owner())
    poll_until(world, [source], everything_read(source))
    sink = world.sink(0)
    sink.commit(outputs(world, b"1", b"2"), [place(world, 4)], source.group_metadata())
    with pytest.raises(FatalError, match="larger than its topic takes"):
        sink.commit(outputs(world, b"3", b"x" * 2_000_000), [place(world, 6)], source.group_metadata())
    assert world.visible() == [b"1", b"2"]
    source.close()
    source = world.source(owner)
    poll_until(world, [source], everything_read(source))
    assert owner.starts[name(world, 0)].offset == 4


def test_a_second_producer_of_a_slot_fences_the_first(world: World, owner: Owner) -> None:
    world.publish(2)
    source = world.source(owner)
    poll_until(world, [source], everything_read(source))
    first, second = world.sink(3), world.sink(3)
    with pytest.raises(FencedError):
        first.commit(outputs(world, b"1"), [place(world, 1)], source.group_metadata())
    second.commit(outputs(world, b"2"), [place(world, 1)], source.group_metadata())
    assert world.visible() == [b"2"]


def test_a_membership_that_has_passed_is_aborted_and_a_new_one_commits(world: World, owner: Owner) -> None:
    world.publish(2)
    source = world.source(owner)
    poll_until(world, [source], everything_read(source))
    stale = source.group_metadata()
    source.close()
    sink = world.sink(0)
    with pytest.raises(AbortedError) as aborted:
        sink.commit(outputs(world, b"1"), [place(world, 1)], stale)
    assert not aborted.value.waited
    source = world.source(Owner())
    poll_until(world, [source], everything_read(source))
    sink.commit(outputs(world, b"1"), [place(world, 1)], source.group_metadata())
    assert world.visible() == [b"1"]


def test_what_was_kept_over_a_rebalance_is_committed_by_epoch_and_refused_by_generation(
    world: World, owner: Owner
) -> None:
    """KIP-1251: an identity older than the member's is good for what was assigned under it or before."""
    world.publish(2, 0)
    world.publish(2, 1)
    source = world.source(owner)
    poll_until(world, [source], everything_read(source))
    older = source.group_metadata()
    second = world.source(Owner())
    poll_until(world, [source, second], lambda _: len(source.owned) == len(second.owned) == 1)
    poll_until(world, [source, second], lambda _: source.group_metadata() != older)
    (kept,) = source.owned
    (moved,) = second.owned
    sink = world.sink(0)
    commit = partial(sink.commit, outputs(world, b"1"), [place(world, 1, kept.partition)])
    if world.protocol == "consumer":
        commit(older)
    else:
        with pytest.raises(AbortedError):
            commit(older)
        # A second round may still be going on.
        poll_until(world, [source, second], lambda _: goes_through(partial(commit, source.group_metadata())))
    assert world.visible() == [b"1"]
    with pytest.raises(AbortedError):
        sink.commit(outputs(world, b"2"), [place(world, 1, moved.partition)], older)
    assert world.visible() == [b"1"]


def test_during_a_revoke_what_is_still_owned_can_be_committed(world: World, owner: Owner) -> None:
    world.publish(2, 0)
    world.publish(2, 1)
    source = world.source(owner)
    poll_until(world, [source], everything_read(source))
    sink = world.sink(0)
    committed: list[int] = []

    def commit_both() -> None:
        offsets = [place(world, 2, 0), place(world, 2, 1)]
        sink.commit(outputs(world, b"1"), offsets, source.group_metadata())
        committed.append(1)

    owner.on_revoke = commit_both
    other_owner = Owner()
    second = world.source(other_owner)
    poll_until(world, [source, second], lambda _: len(source.owned) == len(second.owned) == 1)
    assert committed == [1]
    assert {start.offset for start in other_owner.starts.values()} == {2}
    owner.on_revoke = lambda: None


class Dawdling(Sequence[OutputRecord]):
    """Outputs between which a transaction's time runs out."""

    def __init__(self, world: World, items: Sequence[OutputRecord]) -> None:
        self._world = world
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, place: int) -> OutputRecord:  # type: ignore[override]  # nobody slices
        if place == 1:
            # Once for the transaction, once for the broker's next look, and something for a slow machine.
            self._world.wait(SHORT_TRANSACTION_S + self._world.looks_every_s + 3)
        return self._items[place]


def test_a_transaction_that_takes_too_long_is_given_up_by_the_broker_and_ends_its_producer(
    world: World, owner: Owner
) -> None:
    world.publish(2)
    source = world.source(owner)
    poll_until(world, [source], everything_read(source))
    slow = Dawdling(world, outputs(world, b"1", b"2"))
    with pytest.raises(FatalError):
        world.sink(0, SHORT_TRANSACTION_S).commit(slow, [place(world, 1)], source.group_metadata())
    assert world.visible() == []
    source.close()
    source = world.source(Owner())
    poll_until(world, [source], everything_read(source))
    world.sink(0).commit(outputs(world, b"3"), [place(world, 1)], source.group_metadata())
    assert world.visible() == [b"3"]


def test_at_least_once_writes_outputs_then_offsets(world: World, owner: Owner) -> None:
    world.publish(9)
    source = world.source(Owner())
    poll_until(world, [source], everything_read(source))
    sink = world.plain_sink(source)
    sink.open()
    sink.commit(outputs(world, b"1", b"2"), [place(world, 4, metadata="m")], source.group_metadata())
    assert world.visible() == [b"1", b"2"]
    source.close()
    source = world.source(owner)
    poll_until(world, [source], everything_read(source))
    assert owner.starts[name(world, 0)] == place(world, 4, metadata="m")


@pytest.mark.parametrize("how", ["polls", "serves"])
def test_at_least_once_is_committed_from_beside_the_thread_that(how: str, world: World, owner: Owner) -> None:
    world.publish(9)
    source = world.source(Owner())
    poll_until(world, [source], everything_read(source))
    answer = commit_beside(world, source, place(world, 4, metadata="m"), place(world, 0, 1))
    drive_until(answer, source, how)
    answer.result()
    assert world.visible() == [b"1", b"2"]
    source.close()
    source = world.source(owner)
    poll_until(world, [source], everything_read(source))
    assert owner.starts == {name(world, 0): place(world, 4, metadata="m"), name(world, 1): place(world, 0, 1)}


def test_who_polls_is_called_once_a_commit_at_least_once_waits_for_it(world: World, owner: Owner) -> None:
    world.publish(9)
    source = world.source(owner)
    poll_until(world, [source], everything_read(source))
    called = threading.Event()
    waiting: list[int] = []

    def asked() -> None:
        waiting.append(len(source._commits._waiting))
        called.set()

    owner.on_asked = asked
    answer = commit_beside(world, source, place(world, 4))
    assert called.wait(PATIENCE_S)
    assert waiting == [1]  # else it would be called for nothing, and then wait
    drive_until(answer, source, "serves")
    answer.result()


def test_at_least_once_is_refused_beside_the_polling_thread_when_partitions_went_away(
    world: World, owner: Owner
) -> None:
    world.publish(9)
    source = world.source(owner)
    poll_until(world, [source], everything_read(source))
    answer = commit_beside(world, source, place(world, 4))
    source.close()
    with pytest.raises(AbortedError):
        answer.result(PATIENCE_S)
    source = world.source(owner)
    poll_until(world, [source], everything_read(source))
    assert owner.starts[name(world, 0)] == place(world, 0)


def test_at_least_once_is_to_be_done_again_when_the_membership_has_passed(world: World, owner: Owner) -> None:
    world.publish(2)
    first, second = world.source(owner, SHORT_POLL_S), world.source(Owner())
    poll_until(world, [first, second], lambda _: len(first.owned) == len(second.owned) == 1)
    (held,) = first.owned
    poll_until(world, [second], lambda _: len(second.owned) == PARTITIONS)
    sink = world.plain_sink(first)
    sink.open()
    with pytest.raises(AbortedError):
        sink.commit(outputs(world, b"1"), [place(world, 1, held.partition)], first.group_metadata())
    assert world.visible() == [b"1"]  # outputs are there already: that is what at least once means
