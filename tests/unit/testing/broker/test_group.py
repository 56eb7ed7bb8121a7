"""What both group protocols have in common, seen through sources, and what only one of them does."""

import pytest

from streamproc.testing.broker.errors import Refusal, RefusedError
from streamproc.testing.broker.values import CommittedOffset, GroupMetadata
from tests.unit.testing.broker.world import GROUP, MAX_POLL_S, SESSION_S, World, offset


@pytest.fixture(params=["consumer", "classic"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)


def test_one_member_gets_everything_and_starts_at_the_first_record(world: World) -> None:
    world.publish(3)
    source = world.source()
    records = world.poll(source)
    assert [record.offset for record in records] == [0, 1, 2]
    assert world.owns(source) == [0, 1]
    assert world.owners[source].starts == {p: offset(0, p.partition) for p in world.partitions}


def test_a_second_member_gets_half_once_the_first_has_given_it_back(world: World) -> None:
    first = world.source()
    world.poll(first)
    second = world.source()
    world.owners[first].on_revoke = lambda: seen.append((world.owns(first), world.owns(second)))
    seen: list[tuple[list[int], list[int]]] = []
    world.poll(first, second)
    assert seen == [([0, 1], [])]
    assert (world.owns(first), world.owns(second)) == ([0], [1])
    assert world.owners[first].kinds() == ["assigned", "revoked"]
    assert world.owners[second].kinds() == ["assigned"]


def test_a_member_that_leaves_gives_everything_back(world: World) -> None:
    first, second = world.source(), world.source()
    world.poll(first, second)
    second.close()
    assert world.owners[second].kinds() == ["assigned", "revoked"]
    world.poll(first)
    assert world.owns(first) == [0, 1]


def test_a_member_that_dies_is_missed_after_its_session(world: World) -> None:
    first, second = world.source(), world.source()
    world.poll(first, second)
    second.die()
    world.poll(first, seconds=SESSION_S - 2)
    assert len(world.owns(first)) == 1
    world.poll(first, seconds=4)
    assert world.owns(first) == [0, 1]


def test_heartbeats_go_on_while_nobody_polls(world: World) -> None:
    first, second = world.source(), world.source()
    world.poll(first, second)
    held = world.owns(second)
    world.poll(first, seconds=MAX_POLL_S - 1)
    assert world.owns(second) == held
    world.poll(second, seconds=0.1)
    assert "lost" not in world.owners[second].kinds()


def test_who_polls_too_late_loses_everything_and_joins_again(world: World) -> None:
    first, second = world.source(), world.source()
    world.poll(first, second)
    world.poll(first, seconds=MAX_POLL_S + SESSION_S + 2)
    assert world.owns(first) == [0, 1]
    world.poll(first, second)
    assert world.owners[second].kinds()[:2] == ["assigned", "lost"]
    assert len(world.owns(first)) == len(world.owns(second)) == 1
    assert second.trouble == "max.poll.interval.ms exceeded"
    world.publish(1, world.owns(second)[0])
    world.poll(second, seconds=0.1)
    assert second.trouble is None


def test_a_frozen_member_learns_what_it_lost_a_moment_after_it_has_gone_on(world: World) -> None:
    world.publish(4, 0)
    world.publish(4, 1)
    first, second = world.source(), world.source()
    world.poll(first, second)
    second.freeze()
    world.poll(first, seconds=SESSION_S + 4)
    assert world.owns(first) == [0, 1]
    second.thaw()
    stale = second.group_metadata()
    assert len(second.owned) == 1
    with pytest.raises(RefusedError) as refused:
        world.broker.commit_offsets(stale, [offset(1, next(iter(second.owned)).partition)])
    assert refused.value.refusal is Refusal.UNKNOWN_MEMBER_ID
    world.poll(first, second)
    assert world.owners[second].kinds()[:2] == ["assigned", "lost"]
    assert len(world.owns(first)) == len(world.owns(second)) == 1


def test_a_short_freeze_goes_unnoticed(world: World) -> None:
    source = world.source()
    world.poll(source)
    source.freeze()
    world.clock.advance(SESSION_S - 2)
    source.thaw()
    world.poll(source, seconds=SESSION_S)
    assert world.owners[source].kinds() == ["assigned"]
    assert world.owns(source) == [0, 1]


def test_a_member_that_is_evicted_while_it_joins_comes_back(world: World) -> None:
    gone = world.source()
    world.poll(gone)
    gone.die()
    source = world.source()  # a classic round waits for the one that is gone
    world.poll(source, seconds=1)
    world.broker.evict(source.member_id)
    world.poll(source, seconds=MAX_POLL_S + SESSION_S)
    assert world.owns(source) == [0, 1]


def test_an_evicted_member_learns_it_and_comes_back(world: World) -> None:
    source = world.source()
    world.poll(source)
    world.broker.evict(source.member_id)
    assert world.owns(source) == []
    world.poll(source)
    assert world.owners[source].kinds() == ["assigned", "lost", "assigned"]
    assert world.owns(source) == [0, 1]


def test_members_survive_a_restart_and_an_outage_longer_than_their_session(world: World) -> None:
    first, second = world.source(), world.source()
    world.poll(first, second)
    world.broker.restart()
    world.poll(first, second)
    assert world.owners[first].kinds().count("lost") == 0
    world.broker.down = True
    world.poll(first, second, seconds=SESSION_S / 2)
    troubles = [first.trouble]
    world.broker.down = False
    world.poll(first, second)
    assert [*troubles, first.trouble] == ["no broker answers", None]
    assert world.owners[first].kinds().count("lost") == 0
    assert len(world.owns(first)) == len(world.owns(second)) == 1


def test_who_dies_during_an_outage_is_missed_a_session_after_it(world: World) -> None:
    first, second = world.source(), world.source()
    world.poll(first, second)
    world.broker.down = True
    world.clock.advance(1)
    second.die()
    world.broker.down = False
    world.poll(first, seconds=SESSION_S - 2)
    assert len(world.owns(first)) == 1
    world.poll(first, seconds=4)
    assert world.owns(first) == [0, 1]


def test_a_source_opened_during_an_outage_joins_after_it(world: World) -> None:
    world.broker.down = True
    source = world.source()
    assert world.poll(source) == []
    world.broker.down = False
    world.poll(source)
    assert world.owns(source) == [0, 1]


def test_three_members_share_and_each_partition_is_read_once(world: World) -> None:
    world = World(world.broker.protocol, partitions=7)
    sources = [world.source() for _ in range(3)]
    world.poll(*sources)
    assert sorted(len(world.owns(source)) for source in sources) == [2, 2, 3]
    assert sorted(n for source in sources for n in world.owns(source)) == list(range(7))
    for source in sources:
        assert [p.partition for p in sorted(source.owned)] == world.owns(source)


def test_nobody_but_a_member_may_commit_unless_there_is_none(world: World) -> None:
    world.publish(2)
    world.broker.commit_offsets(GroupMetadata(GROUP, "", -1), [offset(2)])
    assert world.committed() == 2
    source = world.source()
    world.poll(source)
    for stranger in (GroupMetadata(GROUP, "", -1), GroupMetadata(GROUP, "nobody", 1)):
        with pytest.raises(RefusedError) as refused:
            world.broker.commit_offsets(stranger, [offset(3)])
        assert refused.value.refusal is Refusal.UNKNOWN_MEMBER_ID
    assert world.committed() == 2


def test_classic_a_generation_that_has_passed_may_commit_nothing() -> None:
    world = World("classic")
    first = world.source()
    world.poll(first)
    stale = first.group_metadata()
    world.poll(first, world.source())
    with pytest.raises(RefusedError) as refused:
        world.broker.commit_offsets(stale, [offset(1)])
    assert refused.value.refusal is Refusal.ILLEGAL_GENERATION
    world.broker.commit_offsets(first.group_metadata(), [offset(1)])
    assert world.committed() == 1


def test_classic_a_client_without_a_broker_gives_itself_up_after_its_session() -> None:
    world = World("classic")
    source = world.source()
    world.poll(source)
    world.broker.down = True
    world.poll(source, seconds=SESSION_S + 1)
    assert world.owners[source].kinds() == ["assigned", "lost"]
    world.broker.down = False
    world.poll(source, seconds=SESSION_S + 4)
    assert world.owns(source) == [0, 1]


def test_consumer_an_older_epoch_may_commit_what_it_has_had_all_along_and_nothing_else() -> None:
    world = World("consumer")
    first = world.source()
    world.poll(first)
    stale = first.group_metadata()
    second = world.source()
    world.poll(first, second)
    assert first.group_metadata() != stale
    world.broker.commit_offsets(stale, [offset(1, 0)])
    assert world.committed(0) == 1
    with pytest.raises(RefusedError) as refused:
        world.broker.commit_offsets(stale, [offset(1, 1)])
    assert refused.value.refusal is Refusal.STALE_MEMBER_EPOCH
    second.close()
    world.poll(first)
    with pytest.raises(RefusedError) as refused:
        world.broker.commit_offsets(stale, [offset(1, 1)])
    assert refused.value.refusal is Refusal.STALE_MEMBER_EPOCH
    world.broker.commit_offsets(first.group_metadata(), [offset(1, 1)])


def test_consumer_during_a_revoke_the_epoch_stays_and_commits() -> None:
    world = World("consumer")
    first = world.source()
    world.poll(first)
    before = first.group_metadata()
    world.source()
    world.owners[first].on_revoke = lambda: world.broker.commit_offsets(first.group_metadata(), [offset(1, 1)])
    world.poll(first)
    assert world.committed(1) == 1
    assert first.group_metadata() != before


def test_consumer_a_revoke_that_takes_too_long_costs_the_membership() -> None:
    world = World("consumer")
    first = world.source()
    world.poll(first)
    second = world.source()

    def dawdle() -> None:
        world.owners[first].on_revoke = lambda: None
        world.poll(second, seconds=MAX_POLL_S - 1)
        assert world.owns(first) == [0, 1]
        world.poll(second, seconds=4)
        assert world.owns(second) == [0, 1]

    world.owners[first].on_revoke = dawdle
    world.poll(first)
    world.poll(first, second)
    assert world.owners[first].kinds()[:3] == ["assigned", "revoked", "lost"]
    assert len(world.owns(first)) == len(world.owns(second)) == 1


def test_classic_a_revoke_may_take_its_time_and_the_partition_waits_for_it() -> None:
    world = World("classic")
    first = world.source()
    world.poll(first)
    second = world.source()

    def dawdle() -> None:
        world.poll(second, seconds=MAX_POLL_S + SESSION_S)
        assert (world.owns(first), world.owns(second)) == ([0, 1], [])

    world.owners[first].on_revoke = dawdle
    world.poll(first)
    world.poll(first, second)
    assert (world.owns(first), world.owns(second)) == ([0], [1])


def test_a_partition_stays_with_its_owner_while_that_is_asked_for_it_and_others_come_and_go(world: World) -> None:
    first = world.source()
    world.poll(first)
    second = world.source()

    def rebalance_meanwhile() -> None:
        world.owners[first].on_revoke = lambda: None
        third = world.source()
        world.poll(second, third)
        third.close()
        world.poll(second)
        assert (world.owns(first), world.owns(second)) == ([0, 1], [])

    world.owners[first].on_revoke = rebalance_meanwhile
    world.poll(first)
    world.poll(first, second)
    assert len(world.owns(first)) == len(world.owns(second)) == 1


def test_classic_who_gave_a_partition_back_may_have_a_commit_under_way_until_the_round_is_over() -> None:
    world = World("classic")
    seen: list[CommittedOffset] = []
    world.broker.observers.append(lambda commit: seen.extend(commit.offsets))
    world.publish(9, partition=1)
    first = world.source()
    world.poll(first)
    second = world.source()
    world.poll(second, seconds=0.1)
    metadata: list[GroupMetadata] = []
    world.owners[first].on_revoke = lambda: metadata.append(first.group_metadata())
    world.poll(first)  # it gives back, and joins the round that the other one has not
    assert (world.owns(first), world.owns(second)) == ([0], [])
    world.broker.commit_offsets(metadata[0], [offset(3, partition=1)])
    world.poll(second, first)
    assert world.owns(second) == [1]
    world.broker.commit_offsets(first.group_metadata(), [offset(4, partition=1)])
    assert [one.owner_when_sent for one in seen] == [first.member_id, second.member_id]
