"""Dead letters on real servers: read, and put back exactly once."""

import base64
import json
import os
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports these without saying so to mypy
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from streamproc.errors import ExitCode, PoisonError, Reason, Stage, UsageError
from streamproc.kafka.log import Log
from streamproc.kafka.messages import whole
from streamproc.operate.audit.read import audit
from streamproc.operate.audit.window import Selection
from streamproc.operate.dlq.back import UndecidedError, note
from streamproc.operate.dlq.choice import Choice
from streamproc.operate.dlq.letters import open_letters
from streamproc.operate.dlq.replay import Order, Replayed, replay
from streamproc.operate.place import Place as At
from streamproc.records.lane import Attempt, failure_headers
from streamproc.records.outcome import Outcome, OutcomeKind
from streamproc.records.record import OutputRecord, Record
from streamproc.records.record import TopicPartition as Place
from streamproc.settings import Settings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock
from tests.integration.planted import ANSWER_S, World, now_ms, own_topics, plant


@pytest.fixture
def world(patient: Settings) -> Iterator[World]:
    with plant(own_topics(patient)) as world:
        yield world


def unheard(_name: str, _text: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


def again(world: World, order: Order | None = None) -> Replayed:
    return replay(world.settings, order or Order(), unheard)


def back(world: World, after: int = 0) -> list[Record]:
    """What stands on the input, committed, from offset ``after`` of each partition on."""
    with closing(Log(world.settings, "reader")) as log:
        bounds = log.decided(log.partitions(world.input), ANSWER_S)
        stretches = {p: range(max(after, one.start), one.stop) for p, one in bounds.items()}
        return [record for some in log.read(stretches, whole) for record in some]


def die(world: World, *letters: tuple[int, Reason]) -> None:
    """Dead letters of these offsets of partition 0, whose values say their offsets."""
    outcomes = [
        (offset, world.dead(0, offset, reason=reason, original=OutputRecord("", b"k", b"%d" % offset)))
        for offset, reason in letters
    ]
    world.commit(Place(world.input, 0), outcomes)


def values(records: Sequence[Record]) -> list[bytes]:
    return sorted(record.value for record in records if record.value is not None)


MISSING, DENIED = Reason.OBJECT_MISSING, Reason.ACCESS_DENIED


def test_an_original_goes_back_byte_for_byte_and_once(world: World) -> None:
    world.announce(1, partition=1)
    world.announce(3)
    odd = (("sp-own", b"\xff"), ("x", None), ("x", b""), ("sp-replays", b"1"))
    originals = [
        OutputRecord("", b"\xffkey", b"\x00\x01", odd),
        OutputRecord("", None, None, ()),
        OutputRecord("", b"", b"", ()),
    ]
    letters = [(offset, world.dead(0, offset, original=one)) for offset, one in enumerate(originals[:2])]
    world.commit(Place(world.input, 0), [*letters, (2, world.result(0, 2))])
    world.commit(Place(world.input, 1), [(0, world.dead(1, 0, original=originals[2]))])
    of = [("sp-replay-of", f"{letters_topic(world)}/0/{offset}".encode()) for offset in (0, 1, 3)]
    done = again(world)
    assert (done.put, done.left) == (Counter({"object_missing": 3}), [])
    zero, one = ([r for r in back(world, 3 if p == 0 else 1) if r.partition == p] for p in (0, 1))
    assert [(r.key, r.value, r.headers) for r in zero] == [
        (b"\xffkey", b"\x00\x01", (*odd[:3], ("sp-replays", b"2"), of[0])),
        (None, None, (("sp-replays", b"1"), of[1])),
    ]
    assert [(r.key, r.value, r.headers) for r in one] == [(b"", b"", (("sp-replays", b"1"), of[2]))]
    assert again(world).put == Counter()
    assert len(back(world)) == 7
    report = audit(world.settings, Selection(), unheard)
    assert (report.proved, report.records) == (True, 4)  # what went back is new, and not committed yet


def test_choices_do_not_lose_what_others_passed_over(world: World) -> None:
    world.announce(6)
    die(world, (0, MISSING), (1, DENIED), (2, MISSING), (3, DENIED), (4, MISSING), (5, MISSING))
    assert again(world, Order(Choice(reason="object_missing"), most=2)).stopped_at_most
    assert values(back(world, 6)) == [b"0", b"2"]
    assert again(world, Order(Choice(reason="access_denied"))).put == Counter({"access_denied": 2})
    assert again(world, Order(Choice(reason="access_denied"))).put == Counter()
    rest = again(world)
    assert (rest.put, rest.done_before) == (Counter({"object_missing": 2}), 4)
    assert values(back(world, 6)) == [b"0", b"1", b"2", b"3", b"4", b"5"]


def test_single_letters_are_put_back_however_many_between_them_stay(world: World) -> None:
    """More than 350 pieces: nothing grows with them but the notes."""
    count = 702
    world.announce(count)
    odd = Place("another.topic", 0)
    outcomes = []
    for offset in range(count):
        error = PoisonError(MISSING, Stage.FETCH, "planted")
        origin = Attempt(odd.topic if offset % 2 else world.input, 0, offset, 1, 1)
        headers = failure_headers(origin, error)
        letter = OutputRecord(letters_topic(world), b"%d" % offset, b"%d" % offset, headers)
        outcomes.append((offset, Outcome(OutcomeKind.DEAD_LETTER, (letter,), reason=MISSING)))
    world.commit(Place(world.input, 0), outcomes)
    one = At(Place(world.input, 0), 350)
    first = again(world, Order(Choice(key="350", origin=one, stage="fetch")))
    assert [(named.origin, named.to, named.key) for named in first.named] == [(one, f"{world.input}/0", "350")]
    rest = again(world)
    assert (rest.put.total(), rest.done_before, rest.left_count) == (350, 1, 351)
    assert "began on another.topic" in rest.left[0][1]
    last = again(world)
    assert (last.put.total(), last.done_before, last.left_count) == (0, 351, 351)
    with open_letters(world.settings) as letters:
        still = [letter.told.offset for letter in letters.chosen(Choice(open=True))]
    assert sorted(still) == list(range(1, count, 2))


def test_what_was_put_back_is_known_without_any_offset_of_a_group(world: World) -> None:
    """A broker forgets the offsets of a group without members after a week, dead letters are kept a month."""
    world.announce(3)
    die(world, (0, MISSING), (1, MISSING), (2, DENIED))
    assert again(world, Order(Choice(reason="object_missing"))).put.total() == 2
    admin = AdminClient({"bootstrap.servers": world.settings.kafka.bootstrap_servers})
    ours = [one.group_id for one in admin.list_consumer_groups().result(ANSWER_S).valid]
    assert [name for name in ours if name.startswith(world.settings.kafka.group)] == [world.settings.kafka.group]
    with open_letters(world.settings) as letters:
        open_ones = [letter.put_back_ms is None for letter in letters.chosen(Choice())]
    assert open_ones == [False, False, True]


def test_letters_that_were_made_anew_are_not_taken_for_those_that_were_put_back(world: World) -> None:
    world.announce(2)
    long_ago = now_ms() - 60_000
    told = note(
        world.settings.topics.replays, Place(letters_topic(world), 0), [range(9)], began_ms=0, newest_ms=long_ago
    )
    world.commit(Place(world.input, 0), (), written=[(0, Outcome(OutcomeKind.RESULT, (told,)))], ledger=False)
    die(world, (0, MISSING), (1, MISSING))
    with open_letters(world.settings) as letters:
        assert len(list(letters.chosen(Choice(open=True)))) == 2
    assert again(world).put.total() == 2
    assert again(world).done_before == 2


@contextmanager
def open_note(world: World) -> Iterator[Producer]:
    """A transaction of another prefix that noted a letter, and was not ended."""
    other = Producer(
        {"bootstrap.servers": world.settings.kafka.bootstrap_servers, "transactional.id": uuid.uuid4().hex}
    )
    other.init_transactions(ANSWER_S)
    other.begin_transaction()
    told = note(
        world.settings.topics.replays, Place(letters_topic(world), 0), [range(1)], began_ms=1, newest_ms=now_ms()
    )
    other.produce(told.topic, told.value, told.key)
    other.flush(ANSWER_S)
    try:
        yield other
    finally:
        other.abort_transaction(ANSWER_S)


def test_nothing_goes_back_while_another_replay_is_undecided(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.operate.dlq.letters.OVERDUE_S", 0)
    world.announce(2)
    die(world, (0, MISSING), (1, MISSING))
    kafka = world.settings.kafka.model_copy(update={"transaction_timeout_s": 1.0})
    hasty = world.settings.model_copy(update={"kafka": kafka})
    with open_note(world):
        with open_letters(world.settings) as letters:
            assert len(list(letters.chosen(Choice()))) == 2
            assert letters.undecided
        with pytest.raises(UndecidedError, match=r"neither committed nor aborted within 1 s"):
            replay(hasty, Order(), unheard)
        assert replay(hasty, Order(most=1, dry_run=True), unheard).undecided
    assert len(back(world)) == 2
    assert again(world).put.total() == 2


def test_notes_that_are_forgotten_before_their_letters_stop_a_replay(world: World) -> None:
    world.announce(1)
    die(world, (0, MISSING))
    admin = AdminClient({"bootstrap.servers": world.settings.kafka.bootstrap_servers})

    def keep(kept_ms: int) -> None:
        entry = ConfigEntry("retention.ms", str(kept_ms), incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, world.settings.topics.replays, incremental_configs=[entry])
        admin.incremental_alter_configs([resource])[resource].result(ANSWER_S)

    keep(86_400_000)
    with pytest.raises(UsageError, match="would go back twice"):
        again(world)
    assert again(world, Order(dry_run=True)).put.total() == 1
    keep(-1)
    assert again(world).put.total() == 1


def test_what_no_replay_noted_is_passed_over_and_told(world: World) -> None:
    world.announce(1)
    die(world, (0, MISSING))
    junk = OutputRecord(world.settings.topics.replays, b"junk", b"junk")
    world.commit(Place(world.input, 0), (), written=[(0, Outcome(OutcomeKind.RESULT, (junk,)))], ledger=False)
    with open_letters(world.settings) as letters:
        assert len(list(letters.chosen(Choice()))) == 1
        assert letters.foreign.count == 1
        assert "is no note of a replay" in letters.foreign.first


def test_since_leaves_what_came_before_for_later(world: World) -> None:
    world.announce(4)
    die(world, (0, MISSING), (1, MISSING))
    time.sleep(0.01)
    since_ms = time.time_ns() // 1_000_000
    time.sleep(0.01)
    die(world, (2, MISSING), (3, MISSING))
    assert again(world, Order(Choice(since_ms))).put.total() == 2
    assert values(back(world, 4)) == [b"2", b"3"]
    assert again(world).put.total() == 2
    assert values(back(world, 4)) == [b"0", b"1", b"2", b"3"]


def test_a_dry_run_says_what_would_happen_and_does_nothing(world: World) -> None:
    world.announce(2)
    die(world, (0, MISSING), (1, DENIED))
    for _ in range(2):
        assert again(world, Order(dry_run=True)).put == Counter({"object_missing": 1, "access_denied": 1})
    assert len(back(world)) == 2
    assert again(world).put.total() == 2


def test_what_comes_again_and_again_stays(world: World) -> None:
    world.announce(2)
    place = f"{letters_topic(world)}/0/0".encode()
    tired = OutputRecord("", b"k", b"tired", (("sp-replays", b"3"),))
    world.commit(Place(world.input, 0), [(0, world.dead(0, 0, original=tired)), (1, world.dead(0, 1))])
    first = again(world)
    assert (first.put.total(), first.over_limit) == (1, 1)
    assert again(world).over_limit == 1
    raised = again(world, Order(limit=4))
    assert (raised.put.total(), raised.over_limit) == (1, 0)
    assert [r.headers for r in back(world) if r.value == b"tired"] == [(("sp-replays", b"4"), ("sp-replay-of", place))]


def test_an_original_in_the_store_is_fetched_and_one_that_is_gone_waits(world: World) -> None:
    world.announce(2)
    bucket = world.settings.storage.bucket
    letters = []
    for offset in (0, 1):
        path = f"dead-letters/{world.input}/0/{offset}.json"
        outcome = world.dead(0, offset, original=OutputRecord("", b"k", None))
        (letter,) = outcome.outputs
        uri = ("sp-record-uri", f"s3://{bucket}/{path}".encode())
        pointer = OutputRecord(letter.topic, letter.key, None, (*letter.headers, uri))
        letters.append((offset, type(outcome)(outcome.kind, (pointer,))))
    world.commit(Place(world.input, 0), letters)
    store = S3Store(world.settings.storage, 1, SystemClock())

    def put(offset: int) -> None:
        text = base64.b64encode(b"body %d" % offset).decode()
        body = json.dumps({"key": None, "value": text, "headers": [["h", None], ["g", text]]})
        store.put(bucket, f"dead-letters/{world.input}/0/{offset}.json", body.encode(), "application/json")

    put(1)
    done = again(world)
    assert (done.put.total(), [str(place) for place, _ in done.left]) == (1, [f"{letters_topic(world)}/0/0"])
    (got,) = back(world, 2)
    assert (got.key, got.value, got.headers[:2]) == (None, b"body 1", (("h", None), ("g", b"body 1")))
    put(0)
    assert again(world).put.total() == 1
    assert values(back(world, 2)) == [b"body 0", b"body 1"]


def letters_topic(world: World) -> str:
    return world.settings.topics.dead_letters


@contextmanager
def slow(world: World, letters: int, prefix: str = "streamproc") -> Iterator["subprocess.Popen[bytes]"]:
    """The command, ten letters a second, when it has put back its first ones."""
    settings = world.settings
    names = {
        "KAFKA__TRANSACTIONAL_PREFIX": prefix,
        "KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
        "KAFKA__GROUP": settings.kafka.group,
        "REGISTRY__URL": settings.registry.url,
        "TOPICS__RECORDINGS": world.input,
    }
    environment = os.environ | {f"STREAMPROC_{name}": value for name, value in names.items()}
    command = [sys.executable, "-m", "streamproc", "dlq", "replay", "--rate", "10"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + ANSWER_S
        while not back(world, letters):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        try:
            yield process
        finally:
            process.kill()


def test_a_replay_that_is_killed_goes_on_where_it_was_committed(world: World) -> None:
    world.announce(60)
    die(world, *((offset, MISSING) for offset in range(60)))
    with slow(world, 60) as process:
        process.kill()
        process.wait(ANSWER_S)
    before = len(back(world, 60))
    assert 0 < before < 60
    done = again(world)
    assert (done.put.total(), done.done_before) == (60 - before, before)
    assert values(back(world, 60)) == sorted(b"%d" % offset for offset in range(60))


@pytest.mark.parametrize("prefix", ["streamproc", "another"])
def test_of_two_replays_the_later_one_goes_on_and_each_letter_goes_back_once(world: World, prefix: str) -> None:
    """Also where they are of two groups with workers of their own, whose dead letters stand on one topic."""
    world.announce(300)
    die(world, *((offset, MISSING) for offset in range(300)))
    with slow(world, 300, prefix) as earlier:
        later = again(world)
        assert earlier.wait(ANSWER_S) == ExitCode.FATAL
    assert 0 < later.put.total() < 300
    assert values(back(world, 300)) == sorted(b"%d" % offset for offset in range(300))


def test_the_rate_is_kept(world: World) -> None:
    world.announce(6)
    die(world, *((offset, MISSING) for offset in range(6)))
    began = time.monotonic()
    assert again(world, Order(rate=4)).put.total() == 6
    assert time.monotonic() - began >= 1.5


def test_what_is_stopped_by_hand_says_how_many_went(world: World) -> None:
    world.announce(6)
    die(world, *((offset, MISSING) for offset in range(6)))

    def sleep(_seconds: float) -> None:
        raise KeyboardInterrupt

    stopped = replay(world.settings, Order(rate=2), unheard, sleep=sleep)
    assert (stopped.interrupted, stopped.put.total(), stopped.in_doubt) == (True, 2, 0)
    assert len(stopped.named) == len(back(world, 6)) == 2


def test_letters_are_chosen_and_found_by_either_place(world: World) -> None:
    world.announce(3)
    die(world, (0, MISSING), (1, DENIED))
    with open_letters(world.settings) as letters:
        assert [one.told.offset for one in letters.chosen(Choice())] == [0, 1]
        assert [one.told.offset for one in letters.chosen(Choice(reason="access_denied", stage="fetch"))] == [1]
        assert list(letters.chosen(Choice(stage="admit"))) == []
        assert [one.told.offset for one in letters.chosen(Choice(key="k"))] == [0, 1]
        assert [one.told.offset for one in letters.in_order(Choice())] == [0, 1]
        by_origin = letters.one(At(Place(world.input, 0), 1))
        assert letters.one(by_origin.place) == by_origin
        with pytest.raises(UsageError, match="no dead letter stands at"):
            letters.one(At(Place(world.input, 0), 2))
