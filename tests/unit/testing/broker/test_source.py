import threading
from collections.abc import Callable
from functools import partial

import pytest

from streamproc.errors import FatalError
from streamproc.records.record import TopicPartition
from streamproc.testing.broker.errors import BrokerUnavailable, RefusedError
from streamproc.testing.broker.source import BrokerSource
from tests.unit.testing.broker.world import GROUP, MAX_POLL_S, TRANSACTION_S, World, offset

FIRST = TopicPartition("in", 0)


@pytest.fixture
def world() -> World:
    world = World()
    world.publish(9)
    return world


def test_it_starts_at_the_committed_offset_with_its_metadata(world: World) -> None:
    source = world.source()
    world.poll(source)
    source.commit([offset(7, metadata="strikes=2")], source.group_metadata())
    source.close()
    again = world.source()
    assert [record.offset for record in world.poll(again)] == [7, 8]
    assert world.owners[again].starts[FIRST] == offset(7, metadata="strikes=2")


def test_a_poll_takes_at_most_what_was_asked_for_and_lasts_its_time_when_less_is_there(world: World) -> None:
    source = world.source()
    before = world.clock.monotonic()
    assert len(source.poll(4, 1.0)) == 4
    assert world.clock.monotonic() == before
    assert len(source.poll(99, 1.0)) == 5
    assert world.clock.monotonic() == before + 1


def test_what_arrives_while_a_poll_waits_is_in_it(world: World) -> None:
    source = world.source()
    world.poll(source)
    wait = source._sleep

    def publish_meanwhile(seconds: float) -> None:
        wait(seconds)
        world.publish(1)

    source._sleep = publish_meanwhile
    assert len(source.poll(5, 0.1)) == 1


def test_what_was_fetched_before_a_revoke_is_not_delivered_after_it(world: World) -> None:
    world.publish(9, 1)
    first = world.source()
    first.poll(2, 0)
    second = world.source()
    gone = {record.partition for record in world.poll(first, second) if record.partition in world.owns(second)}
    assert gone  # the second one has read them
    world.publish(3, 0)
    world.publish(3, 1)
    assert {record.partition for record in first.poll(99, 0.1)} == set(world.owns(first))


def test_records_of_a_poll_in_which_their_partition_is_lost_are_not_delivered(world: World) -> None:
    source = world.source()
    world.poll(source)
    world.publish(3)
    world.broker.evict(source.member_id)
    records = source.poll(99, 5.0)
    assert world.owners[source].kinds() == ["assigned", "lost", "assigned"]
    assert [record.offset for record in records] == list(range(12))


def test_a_pause_holds_back_what_is_in_the_set_also_what_was_fetched_and_a_resume_delivers_it(world: World) -> None:
    source = world.source()
    assert len(source.poll(2, 0)) == 2
    source.pause(frozenset({FIRST}))
    world.publish(2, 1)
    assert {record.partition for record in world.poll(source)} == {1}
    source.pause(frozenset())
    assert [record.offset for record in world.poll(source)] == [2, 3, 4, 5, 6, 7, 8]


def test_a_pause_throws_away_what_was_fetched_so_that_it_can_be_gone_afterwards(world: World) -> None:
    source = world.source()
    assert len(source.poll(2, 0)) == 2
    world.broker.delete_records(FIRST, 5)
    assert len(source.poll(1, 0)) == 1
    source.pause(frozenset({FIRST}))
    source.pause(frozenset())
    with pytest.raises(FatalError, match=r"in/0 was to be read from offset 3.*first record is now 5"):
        source.poll(1, 0)


def test_a_partition_that_comes_back_is_still_paused(world: World) -> None:
    source = world.source()
    source.pause(frozenset({FIRST}))
    assert world.poll(source) == []
    world.broker.evict(source.member_id)
    assert world.poll(source) == []
    assert world.owners[source].kinds() == ["assigned", "lost", "assigned"]


def test_a_rewind_delivers_again_but_nothing_from_before_the_assignment(world: World) -> None:
    source = world.source()
    world.poll(source)
    source.commit([offset(4)], source.group_metadata())
    source.close()
    source = world.source()
    assert len(world.poll(source)) == 5
    source.rewind(FIRST, 2)
    assert [record.offset for record in world.poll(source)] == [7, 8]
    source.rewind(FIRST, 99)
    assert [record.offset for record in world.poll(source)] == [4, 5, 6, 7, 8]


def test_aborted_records_leave_a_gap(world: World) -> None:
    epoch = world.broker.init_transactions("upstream", TRANSACTION_S)
    for commit in (False, True):
        world.broker.produce("upstream", epoch, "in", 0, None, b"%d" % commit)
        world.broker.end_transaction("upstream", epoch, commit=commit)
    world.broker.remove(FIRST, 3)
    source = world.source()
    assert [record.offset for record in world.poll(source)] == [0, 1, 2, 4, 5, 6, 7, 8, 11]
    assert source.at_end == source.owned


def test_it_waits_for_an_open_transaction_over_its_offsets(world: World) -> None:
    first = world.source()
    world.poll(first)
    epoch = world.broker.init_transactions("other", TRANSACTION_S)
    world.broker.send_offsets("other", epoch, first.group_metadata(), [offset(5)])
    first.close()
    before = world.clock.monotonic()
    second = world.source()
    world.poll(second, seconds=0.1)
    assert world.clock.monotonic() - before >= TRANSACTION_S
    assert world.owners[second].starts[FIRST].offset == 0


def test_an_outage_longer_than_the_budget_for_a_start_is_fatal(world: World) -> None:
    def away(name: str) -> None:
        if name == "assign":
            raise BrokerUnavailable("cut off")

    source = world.source(point=away)
    with pytest.raises(FatalError, match=r"where to start in/0, in/1 was not learned in 25 s"):
        world.poll(source)


def test_an_offset_that_is_not_there_is_fatal_and_says_what_was_lost(world: World) -> None:
    source = world.source()
    world.poll(source)
    source.commit([offset(2)], source.group_metadata())
    source.close()
    world.broker.delete_records(FIRST, 5)
    with pytest.raises(FatalError, match=r"in/0 was to be read from offset 2.*first record is now 5"):
        world.poll(world.source())


def test_retention_passes_a_reader_by(world: World) -> None:
    world.broker.create_topic("short", 1, retention_ms=1000)
    world.broker.append("short", 0, None, b"v")
    world.clock.advance(2)
    assert world.broker.read("short", 0) == []


def test_during_an_outage_what_was_fetched_is_delivered_and_trouble_is_told(world: World) -> None:
    source = world.source()
    assert len(source.poll(2, 0)) == 2
    world.broker.down = True
    assert len(world.poll(source, seconds=1)) == 7
    assert source.trouble == "no broker answers"
    world.broker.down = False
    world.poll(source)
    assert source.trouble is None


def test_a_poll_that_is_cut_off_brings_nothing_new_and_says_so(world: World) -> None:
    cuts = ["poll"]

    def cut_once(name: str) -> None:
        if name in cuts:
            cuts.remove(name)
            raise BrokerUnavailable("cut off")

    source = world.source(point=cut_once)
    assert source.poll(99, 0.1) == []
    assert source.trouble == "no broker answers"
    assert len(source.poll(99, 0.1)) == 9
    assert source.trouble is None


class Elsewhere:
    """Another thread, which commits: what the polling one does comes in its waits."""

    def __init__(self, world: World, source: BrokerSource, then: Callable[[], object]) -> None:
        self.turns = 0
        self._world = world
        self._source = source
        self._then = then
        source._commits._sleep = self._pass_time

    def commit(self, place: int) -> None:
        self._source._here = lambda: self
        try:
            self._source.commit([offset(place)], self._source.group_metadata())
        finally:
            self._source._here = threading.get_ident

    def _pass_time(self, seconds: float) -> None:
        assert self._world.committed() is None
        self.turns += 1
        self._world.clock.advance(seconds)
        if self.turns == 3:
            here, self._source._here = self._source._here, threading.get_ident
            self._then()
            self._source._here = here


@pytest.mark.parametrize("how", ["serve", "poll"])
def test_a_commit_of_another_thread_waits_until_the_polling_one_serves_or_polls(world: World, how: str) -> None:
    source = world.source()
    world.poll(source)
    other = Elsewhere(world, source, source.serve if how == "serve" else partial(source.poll, 1, 0))
    other.commit(3)
    assert (other.turns, world.committed()) == (3, 3)


def test_a_commit_of_another_thread_is_served_in_a_revoke(world: World) -> None:
    source = world.source()
    world.poll(source)
    other = Elsewhere(world, source, source.serve)
    world.owners[source].on_revoke = partial(other.commit, 3)
    world.source()
    source.poll(1, 0)
    world.clock.advance(2)
    source.poll(1, 0)
    assert (other.turns, world.committed()) == (3, 3)


def test_a_commit_of_another_thread_that_nobody_served_is_refused_at_the_end(world: World) -> None:
    source = world.source()
    world.poll(source)
    other = Elsewhere(world, source, source.close)
    with pytest.raises(RefusedError):
        other.commit(3)
    assert (other.turns, world.committed()) == (3, None)
    with pytest.raises(RefusedError, match="the source was closed"):
        other.commit(3)
    assert other.turns == 3


def test_a_poll_counts_from_its_end(world: World) -> None:
    source = world.source()
    source.poll(1, MAX_POLL_S + 1)
    world.clock.advance(MAX_POLL_S - 1)
    world.poll(source)
    assert world.owners[source].kinds() == ["assigned"]


def test_closing_twice_tells_once_and_the_group_forgets_it(world: World) -> None:
    source = world.source()
    world.poll(source)
    source.close()
    source.close()
    assert world.owners[source].kinds() == ["assigned", "revoked"]
    assert world.broker.owner(GROUP, FIRST) is None


def test_a_member_that_was_lost_is_told_so_when_it_closes(world: World) -> None:
    source = world.source()
    world.poll(source)
    world.broker.evict(source.member_id)
    world.clock.advance(5)
    source.close()
    assert world.owners[source].kinds() == ["assigned", "lost"]


def test_who_is_expelled_before_it_knows_where_to_start_takes_nothing_and_joins_again(world: World) -> None:
    expelled: list[str] = []

    def expel_once(name: str) -> None:
        if name == "assign" and not expelled:
            expelled.append(source.member_id)
            world.broker.evict(source.member_id)

    source = world.source(point=expel_once)
    assert len(world.poll(source)) == 9
    assert len(expelled) == 1
    assert world.owners[source].kinds() == ["assigned"]


def test_a_commit_after_the_end_is_refused(world: World) -> None:
    source = world.source()
    world.poll(source)
    source.close()
    world.poll(world.source())
    with pytest.raises(RefusedError):
        source.commit([offset(3)], source.group_metadata())
