"""One record's life, told from real topics."""

from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from streamproc.errors import UsageError
from streamproc.operate.dead_letter import DeadLetter
from streamproc.operate.dlq.choice import Choice
from streamproc.operate.dlq.replay import Order, replay
from streamproc.operate.lines import moment
from streamproc.operate.place import Place as At
from streamproc.operate.place import parse_place
from streamproc.operate.why.event import find_event
from streamproc.operate.why.life import Life, Retry
from streamproc.operate.why.trace import open_tracer
from streamproc.records.ledger import Transaction, build_entry
from streamproc.records.record import OutputRecord
from streamproc.records.record import TopicPartition as Place
from streamproc.records.result import EmotionResult
from streamproc.settings import RetrySettings, Settings
from tests.integration.planted import ANSWER_S, World, now_ms, own_topics, plant


@pytest.fixture
def world(patient: Settings) -> Iterator[World]:
    with plant(own_topics(patient)) as world:
        yield world


def life(world: World, offset: int, topic: str = "", partition: int = 0) -> Life:
    with open_tracer(world.settings) as tracer:
        return tracer.trace(At(Place(topic or world.input, partition), offset))


def test_a_result_is_found_with_its_transaction(world: World) -> None:
    world.announce(5)
    source = Place(world.input, 0)
    world.commit(source, [(0, world.result(0, 0)), (1, world.dead(0, 1))])
    placed = world.commit(source, [(offset, world.result(0, offset)) for offset in (2, 3, 4)])
    found = life(world, 3)
    assert (found.ended, found.remarks) == (True, ())
    assert found.announced is not None
    assert found.announced.event is not None
    assert (found.announced.event.event_id, found.announced.key) == ("e-0-3", "k3")
    (only,) = found.tries
    assert only.committed is not None
    assert (only.committed.row.first_offset, only.committed.row.last_offset, only.committed.row.results) == (2, 4, 3)
    assert only.outcome is not None
    assert isinstance(only.outcome.what, EmotionResult)
    assert only.outcome.what.event_id == "e-0-3"
    results = world.settings.topics.results
    assert str(only.outcome.at) in {f"{results}/{p}/{o}" for p, o in placed[results]}
    first = life(world, 1).tries[0].outcome
    assert first is not None
    assert isinstance(first.what, DeadLetter)


def test_a_way_over_the_lanes_is_told_try_by_try_from_either_end(world: World) -> None:
    world.announce(3)
    one, five = (Place(lane, 0) for lane in world.settings.topics.lanes)
    world.commit(Place(world.input, 0), [(0, world.result(0, 0)), (1, world.retry(0, 1)), (2, world.retry(0, 2))])
    world.commit(one, [(0, world.retry(0, 1, 2, lane=1))])
    assert [type(t.outcome.what) if t.outcome else None for t in life(world, 1).tries] == [Retry, Retry, None]
    world.commit(five, [(0, world.dead(0, 1, 3))])
    found = life(world, 1)
    assert [str(t.taken_from) for t in found.tries] == [f"{world.input}/0/1", f"{one}/0", f"{five}/0"]
    assert [type(t.outcome.what) if t.outcome else None for t in found.tries] == [Retry, Retry, DeadLetter]
    assert found.ended
    retries = [t.outcome.what for t in found.tries if t.outcome and isinstance(t.outcome.what, Retry)]
    assert [(r.stage, r.reason, r.message) for r in retries] == [("fetch", "store_unavailable", "planted")] * 2
    assert life(world, 0, five.topic) == found
    waits = life(world, 2)
    assert not waits.ended
    (remark,) = waits.remarks
    told, due = remark.split("; its lane lets it go at ")
    assert told == f"{one}/1 is not committed yet: the group has come to offset 1 of {one}"
    moved = waits.tries[0].outcome
    assert moved is not None
    assert due == f"{moment(moved.at_ms + 10_000)} UTC"


def test_a_dead_letter_and_a_result_lead_to_the_record_that_they_tell_of(world: World) -> None:
    world.announce(2)
    placed = world.commit(Place(world.input, 0), [(0, world.dead(0, 0)), (1, world.result(0, 1))])
    topics = world.settings.topics
    for topic, offset in ((topics.dead_letters, 0), (topics.results, 1)):
        ((partition, at),) = placed[topic]
        assert life(world, at, topic, partition) == life(world, offset)
    assert "nothing was written there" in life(world, 99, topics.results).remarks[0]
    with pytest.raises(UsageError, match="is of no record's life: name a place of"):
        life(world, 0, topics.ledger)


def test_an_offset_beyond_the_end_that_counts_as_done_is_told_as_that(world: World) -> None:
    world.announce(3)
    source = Place(world.input, 0)
    world.commit(source, [(offset, world.result(0, offset)) for offset in range(3)])
    lost = [(offset, world.result(0, offset)) for offset in range(4, 50)]
    entry = build_entry(Transaction("0", 1, len(lost), now_ms()), source, lost)
    world.commit(source, [], written=[], entry=entry)
    found = life(world, 40)
    assert "/0 ends at 4, and " in found.remarks[0]
    assert "of the ledger covers 40: what stood there is gone" in found.remarks[0]
    assert found.tries[0].committed is not None
    world.commit(source, lost, written=[], ledger=False)
    found = life(world, 40)
    assert "/0 ends at 4, and the group has come to 50: what stood there is gone" in found.remarks[0]
    assert "no output of it was found" in found.remarks[1]
    assert not found.ended
    assert "nothing was announced there" in life(world, 60).remarks[0]


def test_each_way_of_not_being_there_is_told(world: World) -> None:
    world.announce(4)
    world.commit(Place(world.input, 0), [(offset, world.result(0, offset)) for offset in range(3)])
    (not_yet,) = life(world, 3).remarks
    assert "is not committed yet: the group has come to offset 3" in not_yet
    strict = world.settings.model_copy(update={"retry": RetrySettings(order="strict")})
    with open_tracer(strict) as tracer:
        (may_wait,) = tracer.trace(At(Place(world.input, 0), 3)).remarks
    assert may_wait == f"{not_yet}, and with retry.order = strict one may wait in place, which its worker's log tells"
    assert "marks the end of a transaction" in life(world, 4).remarks[0]
    assert "nothing was announced there" in life(world, 99).remarks[0]
    assert "has no partition 7" in life(world, 0, partition=7).remarks[0]
    admin = AdminClient({"bootstrap.servers": world.settings.kafka.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(world.input, 0, 2)]).values():
        future.result(ANSWER_S)
    gone = life(world, 1)
    assert "retention has passed" in gone.remarks[0]
    assert (gone.announced, gone.ended) == (None, True)  # the ledger and the result still tell


def test_what_is_lost_and_what_the_ledger_lacks_is_told(world: World) -> None:
    world.announce(2)
    source = Place(world.input, 0)
    world.commit(source, [(0, world.result(0, 0))], written=[])
    assert "no output of it was found" in life(world, 0).remarks[0]
    world.commit(source, [(1, world.result(0, 1))], ledger=False)
    assert "that is a fault" in life(world, 1).remarks[0]


def test_an_event_is_found_by_its_id_and_a_time_also_when_it_was_sent_twice(world: World) -> None:
    world.announce(3)
    world.announce(3, partition=1)
    again = world.announce(1)  # e-0-0 once more
    places = find_event(world.settings, "e-0-0", now_ms())
    assert places == (At(Place(world.input, 0), 0), At(Place(world.input, 0), again[0]))
    assert find_event(world.settings, "e-1-2", now_ms() - 600_000) == (At(Place(world.input, 1), 2),)
    with pytest.raises(UsageError, match="within 15 minutes of that time"):
        find_event(world.settings, "e-1-2", now_ms() - 3_600_000)


def test_an_event_whose_announcement_is_gone_is_found_by_what_became_of_it(world: World) -> None:
    world.announce(3)
    event = world.event(0, 1)
    letter = world.dead(0, 1, original=OutputRecord("", b"k", event))
    world.commit(Place(world.input, 0), [(0, world.result(0, 0)), (1, letter)])
    admin = AdminClient({"bootstrap.servers": world.settings.kafka.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(world.input, 0, 3)]).values():
        future.result(ANSWER_S)
    for number in (0, 1):
        assert find_event(world.settings, f"e-0-{number}", now_ms()) == (At(Place(world.input, 0), number),)


def test_rows_are_found_by_halves_among_many(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.operate.why.ledger._SCANNED", 3)
    world.announce(40)
    world.announce(40, partition=1)
    for offset in range(40):
        world.commit(Place(world.input, 0), [(offset, world.result(0, offset))])
        if offset % 7 == 0:
            world.commit(Place(world.input, 1), [(offset // 7, world.result(1, offset // 7))])
    with open_tracer(world.settings) as tracer:
        for partition, offset in [*((0, offset) for offset in range(0, 40, 5)), *((1, offset) for offset in range(6))]:
            (only,) = tracer.trace(At(Place(world.input, partition), offset)).tries
            assert only.committed is not None
            assert (only.committed.row.first_offset, only.committed.row.input_partition) == (offset, partition)
            assert only.outcome is not None


def test_a_place_is_a_topic_a_partition_and_an_offset() -> None:
    assert parse_place("audio.recordings/3/17") == At(Place("audio.recordings", 3), 17)
    for text in ("audio.recordings/3", "a/b/c", "a/1/-1", "a b/1/1", "a/1/" + "9" * 30):
        with pytest.raises(UsageError, match="is no place"):
            parse_place(text)


def test_a_replay_is_told_from_both_of_its_ends(world: World) -> None:
    world.announce(4)
    letters = [(offset, world.dead(0, offset)) for offset in range(3)]
    placed = world.commit(Place(world.input, 0), [*letters, (3, world.result(0, 3))])
    assert life(world, 1).put_back is None
    replay(world.settings, Order(Choice(origin=At(Place(world.input, 0), 1))), lambda *_: None)
    topic = world.settings.topics.dead_letters
    letter = "{}/{}/{}".format(topic, *placed[topic][1])
    found = life(world, 1)
    assert found.put_back is not None
    assert found.put_back.to is not None
    goes_on = life(world, found.put_back.to.offset)
    assert goes_on.announced is not None
    assert (goes_on.announced.replays, goes_on.announced.replay_of) == (1, letter)
    assert life(world, 0).put_back is None
