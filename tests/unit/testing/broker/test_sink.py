import pytest

from streamproc.errors import AbortedError, DependencyDownError, FatalError, FencedError
from streamproc.testing.broker.errors import BrokerUnavailable
from streamproc.testing.broker.sink import BrokerPlainSink, BrokerSink
from streamproc.testing.broker.source import BrokerSource
from tests.unit.testing.broker.world import TRANSACTION_S, World, nowhere, offset, outputs


class CutAt:
    """Cuts off the calls at one point, ``times`` of them."""

    def __init__(self, name: str, times: float = float("inf")) -> None:
        self.name = name
        self.times = times
        self.seen: list[str] = []

    def __call__(self, name: str) -> None:
        self.seen.append(name)
        if name == self.name and self.times > 0:
            self.times -= 1
            raise BrokerUnavailable("cut off")


@pytest.fixture
def world() -> World:
    world = World()
    world.publish(9)
    return world


@pytest.fixture
def source(world: World) -> BrokerSource:
    source = world.source()
    world.poll(source)
    return source


def test_outputs_and_offsets_become_visible_together(world: World, source: BrokerSource) -> None:
    point = CutAt("nowhere")
    world.sink(point=point).commit(outputs(b"1", b"2"), [offset(5)], source.group_metadata())
    assert (world.visible(), world.committed()) == ([b"1", b"2"], 5)
    assert point.seen == ["begin", "produce", "produce", "offsets", "commit", "committed"]


@pytest.mark.parametrize("name", ["produce", "offsets", "commit"])
def test_a_call_that_is_cut_off_is_made_again(world: World, source: BrokerSource, name: str) -> None:
    world.sink(point=CutAt(name, 3)).commit(outputs(b"1", b"2"), [offset(5)], source.group_metadata())
    assert (world.visible(), world.committed()) == ([b"1", b"2"], 5)


@pytest.mark.parametrize("name", ["produce", "offsets"])
def test_what_is_never_answered_before_the_end_was_asked_for_is_aborted(
    world: World, source: BrokerSource, name: str
) -> None:
    sink = world.sink(point=CutAt(name, TRANSACTION_S / 0.2 + 2))
    with pytest.raises(AbortedError) as aborted:
        sink.commit(outputs(b"1"), [offset(5)], source.group_metadata())
    assert aborted.value.waited
    assert (world.visible(), world.committed()) == ([], None)
    sink.commit(outputs(b"1"), [offset(5)], source.group_metadata())
    assert (world.visible(), world.committed()) == ([b"1"], 5)


def test_a_commit_whose_answer_does_not_come_has_an_unknown_fate(world: World, source: BrokerSource) -> None:
    before = world.clock.monotonic()
    with pytest.raises(FatalError, match="unknown fate"):
        world.sink(point=CutAt("committed")).commit(outputs(b"1"), [offset(5)], source.group_metadata())
    assert world.clock.monotonic() - before >= TRANSACTION_S
    assert world.committed() == 5
    with pytest.raises(FatalError, match="unknown fate"):
        world.sink(point=CutAt("commit")).commit(outputs(b"2"), [offset(6)], source.group_metadata())
    assert world.committed() == 5


def test_an_abort_that_is_not_answered_is_fatal(world: World, source: BrokerSource) -> None:
    class Both(CutAt):
        def __call__(self, name: str) -> None:
            if name in {"offsets", "abort"}:
                raise BrokerUnavailable("cut off")

    with pytest.raises(FatalError, match="could not be aborted"):
        world.sink(point=Both("")).commit(outputs(b"1"), [offset(5)], source.group_metadata())


def test_a_transaction_that_the_broker_gave_up_meanwhile_fences_its_producer(
    world: World, source: BrokerSource
) -> None:
    def dawdle(name: str) -> None:
        if name == "commit":
            world.clock.advance(2 * TRANSACTION_S)

    with pytest.raises(FencedError):
        world.sink(point=dawdle).commit(outputs(b"1"), [offset(5)], source.group_metadata())
    assert (world.visible(), world.committed()) == ([], None)


def test_a_second_sink_of_the_same_id_fences_the_first(world: World, source: BrokerSource) -> None:
    first, second = world.sink(), world.sink()
    with pytest.raises(FencedError):
        first.commit(outputs(b"1"), [offset(5)], source.group_metadata())
    second.commit(outputs(b"2"), [offset(5)], source.group_metadata())
    assert world.visible() == [b"2"]


def test_a_passed_membership_aborts_without_waiting(world: World, source: BrokerSource) -> None:
    sink = world.sink()
    stale = source.group_metadata()
    source.close()
    with pytest.raises(AbortedError) as aborted:
        sink.commit(outputs(b"1"), [offset(5)], stale)
    assert not aborted.value.waited
    assert world.visible() == []
    again = world.source()
    world.poll(again)
    sink.commit(outputs(b"1"), [offset(5)], again.group_metadata())
    assert world.visible() == [b"1"]


def test_an_outcome_that_no_topic_takes_is_fatal_and_leaves_nothing(world: World, source: BrokerSource) -> None:
    sink = world.sink()
    with pytest.raises(FatalError, match="larger than its topic takes"):
        sink.commit(outputs(b"1", b"x" * 2_000_000), [offset(5)], source.group_metadata())
    sink.commit(outputs(b"2"), [offset(5)], source.group_metadata())
    assert world.visible() == [b"2"]


def test_opening_waits_for_a_broker_as_long_as_a_transaction(world: World, source: BrokerSource) -> None:
    world.broker.down = True
    for sink in (
        BrokerSink(world.broker, "s", transaction_timeout_s=10, sleep=world.clock.advance, point=nowhere),
        BrokerPlainSink(world.broker, source.commit, world.clock.advance, nowhere, 10),
    ):
        before = world.clock.monotonic()
        with pytest.raises(DependencyDownError):
            sink.open()
        assert 10 <= world.clock.monotonic() - before < 11


def test_at_least_once_writes_outputs_then_offsets(world: World, source: BrokerSource) -> None:
    point = CutAt("nowhere")
    sink = BrokerPlainSink(world.broker, source.commit, world.clock.advance, point)
    sink.open()
    sink.commit(outputs(b"1", b"2"), [offset(5)], source.group_metadata())
    assert (world.visible(), world.committed()) == ([b"1", b"2"], 5)
    assert point.seen == ["produce", "produce", "offsets", "committed"]


def test_at_least_once_writes_again_when_the_offsets_were_refused(world: World, source: BrokerSource) -> None:
    sink = BrokerPlainSink(world.broker, source.commit, world.clock.advance, nowhere)
    world.broker.evict(source.member_id)
    with pytest.raises(AbortedError) as aborted:
        sink.commit(outputs(b"1"), [offset(5)], source.group_metadata())
    assert not aborted.value.waited
    world.poll(source)
    sink.commit(outputs(b"1"), [offset(5)], source.group_metadata())
    assert (world.visible(), world.committed()) == ([b"1", b"1"], 5)


def test_at_least_once_waits_out_a_broker_that_is_away(world: World, source: BrokerSource) -> None:
    sink = BrokerPlainSink(world.broker, source.commit, world.clock.advance, CutAt("offsets", 1))
    with pytest.raises(AbortedError) as aborted:
        sink.commit(outputs(b"1"), [offset(5)], source.group_metadata())
    assert aborted.value.waited
    assert (world.visible(), world.committed()) == ([b"1"], None)


def test_at_least_once_an_outcome_that_no_topic_takes_is_fatal(world: World, source: BrokerSource) -> None:
    sink = BrokerPlainSink(world.broker, source.commit, world.clock.advance, nowhere)
    with pytest.raises(FatalError, match="larger than its topic takes"):
        sink.commit(outputs(b"x" * 2_000_000), [offset(5)], source.group_metadata())
    assert world.committed() is None
