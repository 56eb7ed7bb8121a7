"""What is relied on of Faust, each thing pinned: a version that does otherwise fails here, not in production."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
import structlog
from aiokafka.errors import InconsistentGroupProtocolError
from faust.transport.drivers.aiokafka import Transport
from faust.transport.producer import ProducerBuffer
from faust.types import TP
from faust.types.enums import ProcessingGuarantee
from pydantic import SecretStr

from streamproc.analytics.agreement import agreement, protocol
from streamproc.analytics.app import Feed, build_app
from streamproc.analytics.member import Member
from streamproc.analytics.partial import decode_agreement
from streamproc.errors import DependencyDownError, FatalError
from streamproc.records.record import OutputRecord
from streamproc.settings import KafkaSettings, Settings

SETTINGS = Settings()
NOWHERE = Path("folder")
RESULTS, SEGMENTS = SETTINGS.topics.results, SETTINGS.topics.segments


class Reader:
    """Reads results that say nothing but that they are there; the registry is away for so many of them."""

    def __init__(self, away: int = 0) -> None:
        self.away = away

    def read(self, value: bytes | None) -> Any:
        if self.away:
            self.away -= 1
            raise DependencyDownError("registry", "it is not there")
        return {"result_id": value, "recorded_at": None, "produced_at": None}


class Past:
    """Topics that are empty, or away for so many times that they are asked."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.read: list[frozenset[int]] = []
        self.watch: Callable[[], None] = lambda: None

    def catch_up(self, member: Member) -> int:
        self.watch()
        if self.away:
            self.away -= 1
            raise DependencyDownError("kafka", "it is not there")
        self.read.append(member.partitions)
        return 0


class Sent:
    """Takes records; the broker is away for so many flushes."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.records: list[OutputRecord] = []

    def send(self, record: OutputRecord, _name: str) -> None:
        self.records.append(record)

    def flush(self) -> None:
        if self.away:
            self.away -= 1
            raise DependencyDownError("kafka", "it is not there")


def feed(past: Past | None = None, sent: Sent | None = None, reader: Reader | None = None) -> Feed:
    reader = reader or Reader()
    return Feed(SETTINGS, Member(SETTINGS, reader, reader), past or Past(), sent or Sent(), dict)


def built(fed: Feed | None = None) -> faust.App:
    return build_app(SETTINGS, fed or feed(), NOWHERE)


@contextmanager
def consumer_of(app: faust.App) -> Iterator[Any]:
    """Faust's consumer, made but not started: the loop for its thread is closed by nobody else."""
    consumer: Any = app.consumer
    try:
        yield consumer
    finally:
        consumer._thread.thread_loop.close()


@dataclass(eq=False)
class Message:
    """What Faust brings; its time is in seconds."""

    topic: str
    partition: int
    offset: int
    timestamp: float = 1.234
    value: bytes = b"r"
    refcount: int = 1
    acked: bool = False


def event(message: Message) -> Any:
    return SimpleNamespace(message=message)


def on_loop(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def places(topic: str, *partitions: int) -> set[TP]:
    return {TP(topic, partition) for partition in partitions}


def test_one_row_at_a_time_without_tables_or_windows() -> None:
    """More than one commits past what is in flight (Faust's issue 606); its windows close for one partition only."""

    async def test() -> None:
        app = built()
        app.finalize()
        (agent,) = app.agents.values()
        assert agent.concurrency == 1
        assert set(agent.channel.topics) == {RESULTS, SEGMENTS}
        assert not app.tables
        conf: Any = app.conf
        assert conf.processing_guarantee is ProcessingGuarantee.AT_LEAST_ONCE
        assert conf.consumer_metadata_max_age_ms == 10_000  # else who saw no topic for a moment is blind for minutes
        assert not app.conf.web_enabled

    on_loop(test)


def test_faust_makes_no_topics_and_no_folders_elsewhere_and_waits_for_no_row() -> None:
    """Its leader would make a topic; by default a rebalance, and the end, wait for each row in flight."""

    async def test() -> None:
        conf: Any = built().conf
        assert conf.topic_disable_leader
        assert not conf.topic_allow_declare
        assert conf.datadir == NOWHERE
        assert not conf.stream_wait_empty

    on_loop(test)


def test_the_end_waits_for_no_row_that_waits_for_its_turn() -> None:
    async def test() -> None:
        fed = feed()
        app = built(fed)
        row = Message(RESULTS, 0, 0)
        taking = asyncio.ensure_future(fed.take(event(row)))
        with consumer_of(app) as consumer:
            consumer._unacked_messages.add(row)
            await asyncio.wait_for(app._consumer_wait_empty(consumer, app.log), 1)
        assert not taking.done()
        taking.cancel()

    on_loop(test)


def test_who_stops_while_a_server_is_away_waits_no_longer() -> None:
    async def test() -> None:
        fed = feed(Past(away=1_000))
        fed.begin(fed.assigned(places(RESULTS, 0) | places(SEGMENTS, 0)))
        await asyncio.sleep(0.05)
        fed.end()
        await asyncio.wait_for(fed.close(), 1)
        assert not fed.gate.is_set()

    on_loop(test)


@pytest.mark.parametrize(("transport", "level"), [(None, "read_committed"), (Transport, "read_uncommitted")])
def test_only_our_transport_skips_aborted_rows(transport: type[Transport] | None, level: str) -> None:
    async def test() -> None:
        app = built()
        if transport is not None:  # Faust's own: when it reads committed rows, ours is not needed any more
            app.transport = transport(app.conf.broker_consumer, app)
        with consumer_of(app) as consumer:
            made = consumer._thread._create_worker_consumer(app.transport)
            assert made._isolation_level == level
            assert made._auto_offset_reset == "earliest"
            await made.stop()

    on_loop(test)


def test_faust_commits_past_a_row_that_is_in_flight() -> None:
    """Its issue 606, as it is: so nothing may depend on what it commits, and nothing does."""

    async def test() -> None:
        place = TP(RESULTS, 0)
        with consumer_of(built()) as consumer:
            consumer._committed_offset[place] = 2585  # which is in flight; those behind it are done
            consumer._acked[place] = [2586, 2587, 2588, 2589]
            assert consumer._new_offset(place) == 2590

    on_loop(test)


def test_results_and_segments_stay_together() -> None:
    """Without its own assignor Faust would deal the partitions of both topics out by themselves."""

    async def test() -> None:
        app = built()
        with consumer_of(app) as consumer:
            made = consumer._thread._create_worker_consumer(app.transport)
            assert consumer._thread._assignor is app.assignor
            await made.stop()
        with pytest.raises(FatalError, match=r"\[0, 1\] of the results, but \[0\] of segments"):
            await feed().assigned(places(RESULTS, 0, 1) | places(SEGMENTS, 0))

    on_loop(test)


def test_what_is_assigned_is_read_before_any_row_is_taken() -> None:
    async def test() -> None:
        past = Past()
        fed = feed(past)
        assert not fed.gate.is_set()
        await fed.assigned(places(RESULTS, 0, 1) | places(SEGMENTS, 0, 1))
        assert fed.gate.is_set()
        open_while_reading: list[bool] = []
        past.watch = lambda: open_while_reading.append(fed.gate.is_set())
        await asyncio.gather(*(fed.assigned(places(RESULTS, n) | places(SEGMENTS, n)) for n in (0, 1, 2)))
        assert open_while_reading == [False, False]
        assert past.read == [{0, 1}, {0}, {2}]  # of two that waited, the one that was overtaken was not read
        assert fed.gate.is_set()

    on_loop(test)


def test_each_assignment_of_the_first_partition_is_a_mandate_of_its_own() -> None:
    """Who was thrown out and comes back has it again, and another process may have written meanwhile."""

    async def test() -> None:
        past = Past()
        fed = feed(past)
        said: list[int | None] = [fed.mandate]
        for partition in (0, 0, 1, 0):
            await fed.assigned(places(RESULTS, partition) | places(SEGMENTS, partition))
            said.append(fed.mandate)
        assert said == [None, 1, 2, None, 4]
        reading = asyncio.ensure_future(fed.assigned(places(RESULTS, 0) | places(SEGMENTS, 0)))
        await asyncio.sleep(0)
        assert fed.mandate is None  # another process may not know yet that it lost it
        await reading
        assert fed.mandate == 5

    on_loop(test)


def test_servers_that_are_away_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.analytics.app.AGAIN_S", 0.0)

    async def test() -> None:
        past, sent = Past(away=2), Sent(away=1)
        fed = feed(past, sent)
        await fed.assigned(places(RESULTS, 0) | places(SEGMENTS, 0))
        await fed.tell()
        await fed.tell()
        await fed.tell()
        assert len(sent.records) == 2  # told again, since it may not have arrived, and then no more
        assert sent.records[0] == sent.records[1]

    with structlog.testing.capture_logs() as log:
        on_loop(test)
    said = [line["event"] for line in log if line.get("dependency") == "kafka"]
    assert said == 2 * ["waiting for a server"] + ["a server is back", "waiting for a server"]


def test_what_cannot_be_read_is_the_reason_to_end_and_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """Topics that were made anew, for one: people are to read the line that says so."""

    async def test() -> None:
        fed = feed()
        app = built(fed)
        await app.on_partitions_assigned.send(places(RESULTS, 0))
        for _ in range(10):
            await asyncio.sleep(0)
        assert isinstance(fed.failure, FatalError)
        assert not app.should_stop

    on_loop(test)
    assert caplog.records == []


def test_a_row_that_raises_ends_the_app(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust would take it for done and go on."""

    async def test() -> None:
        fed = feed()
        app = built(fed)
        crashed: list[BaseException] = []

        async def crash(error: BaseException) -> None:
            crashed.append(error)

        async def follow(_stream: Any) -> None:
            raise FatalError("a row")

        monkeypatch.setattr(app, "crash", crash)
        monkeypatch.setattr(fed, "follow", follow)
        (agent,) = app.agents.values()
        fun: Any = agent.fun
        with pytest.raises(FatalError):
            await fun(None)
        assert [str(error) for error in crashed] == ["a row"]

    on_loop(test)


def test_rows_are_taken_behind_the_gate_and_again_while_the_registry_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.analytics.app.AGAIN_S", 0.0)

    async def test() -> None:
        fed = feed(reader=Reader(away=2))
        times: list[int] = []
        take = fed._member.take

        def note(topic: str, partition: int, offset: int, timestamp_ms: int, value: bytes | None) -> None:
            times.append(timestamp_ms)
            take(topic, partition, offset, timestamp_ms, value)

        monkeypatch.setattr(fed._member, "take", note)

        class Stream:
            async def events(self) -> Any:
                yield event(Message(RESULTS, 0, 7))
                yield event(Message(RESULTS, 0, 8, timestamp=1_700_000_000.001))

        stream: Any = Stream()
        following = asyncio.ensure_future(fed.follow(stream))
        await asyncio.sleep(0.01)
        assert times == []
        await fed.assigned(places(RESULTS, 0) | places(SEGMENTS, 0))
        await asyncio.wait_for(following, 1)
        assert times == [1234, 1234, 1234, 1_700_000_000_001]
        assert (fed.rows, fed._member.next(RESULTS, 0)) == (2, 9)

    on_loop(test)


def test_a_row_that_faust_brings_again_is_not_counted_again() -> None:
    async def test() -> None:
        fed = feed()
        await fed.assigned(places(RESULTS, 0) | places(SEGMENTS, 0))
        for partition, offset in ((0, 0), (0, 1), (0, 1), (0, 0), (1, 0)):
            await fed.take(event(Message(RESULTS, partition, offset)))
        assert fed.rows == 2

    on_loop(test)


def test_it_is_not_current_while_a_row_or_the_past_waits_for_a_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks whether it is ready would else hear yes while nothing is folded."""
    monkeypatch.setattr("streamproc.analytics.app.AGAIN_S", 0.001)
    assigned = places(RESULTS, 0) | places(SEGMENTS, 0)

    async def test() -> None:
        past, reader = Past(), Reader()
        fed = feed(past, reader=reader)

        def current() -> bool:
            return fed.current

        assert not current()
        await fed.assigned(assigned)
        assert current()
        reader.away = 1_000_000
        for offset, ends in enumerate(("the registry is back", "Faust cancels it")):
            taking = asyncio.ensure_future(fed.take(event(Message(RESULTS, 0, offset))))
            await asyncio.sleep(0.01)
            assert not current()
            if ends == "the registry is back":
                reader.away = 0
                await taking
                reader.away = 1_000_000
            else:
                taking.cancel()
                await asyncio.wait([taking])
            assert current()
        said: list[bool] = []
        past.away, past.watch = 1, lambda: said.append(current())
        await fed.assigned(assigned)
        assert (said, current()) == ([True, False], True)

    on_loop(test)


def test_the_signal_brings_the_whole_assignment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were it what is new only, a member would let go of what it keeps."""

    async def test() -> None:
        app: Any = built()
        told: list[set[TP]] = []

        def note(_app: faust.App, assigned: set[TP], **_: object) -> None:
            told.append(assigned)

        async def nothing(*_: object, **__: object) -> None:
            """Do what is not looked at here."""

        app.on_partitions_assigned.connect(note)
        for service, name in (
            (app.topics, "maybe_wait_for_subscriptions"),
            (app.topics, "on_partitions_assigned"),
            (app.tables, "on_rebalance"),
            (app.agents, "on_rebalance"),
        ):
            monkeypatch.setattr(service, name, nothing)
        with consumer_of(app) as consumer:
            monkeypatch.setattr(consumer, "pause_partitions", lambda _places: None)
            await app._on_partitions_assigned(places(RESULTS, 0))
            await app._on_partitions_assigned(places(RESULTS, 0, 1))
        assert told == [places(RESULTS, 0), places(RESULTS, 0, 1)]

    on_loop(test)


def test_both_topics_of_a_partition_go_to_one_member() -> None:
    async def test() -> None:
        app: Any = built()
        app.finalize()
        assignor = app.assignor
        cluster = SimpleNamespace(topics=lambda: {RESULTS, SEGMENTS}, partitions_for_topic=lambda _topic: set(range(8)))
        metadata = assignor.metadata({RESULTS, SEGMENTS})
        dealt = assignor.assign(cluster, {f"member-{number}": metadata for number in range(3)})
        parts = [{topic: set(partitions) for topic, partitions in one.assignment} for one in dealt.values()]
        assert all(part[RESULTS] == part[SEGMENTS] for part in parts)
        assert sorted(number for part in parts for number in part[RESULTS]) == list(range(8))
        assert {len(part[RESULTS]) for part in parts} == {2, 3}

    on_loop(test)


def test_secrets_go_to_faust_as_it_wants_them() -> None:
    async def test() -> None:
        kafka = KafkaSettings(
            bootstrap_servers="a:1, b:2",
            security_protocol="sasl_plaintext",
            sasl_mechanism="SCRAM-SHA-256",
            sasl_username="u",
            sasl_password=SecretStr("hunter2"),
        )
        app: faust.App = build_app(SETTINGS.model_copy(update={"kafka": kafka}), feed(), NOWHERE)
        made: Any = app.conf.broker_credentials
        assert (made.username, made.password, made.mechanism.value) == ("u", "hunter2", "SCRAM-SHA-256")
        assert [str(url) for url in app.conf.broker] == ["kafka://a:1", "kafka://b:2"]
        assert "hunter2" not in repr(made)

    on_loop(test)


def test_a_process_with_other_settings_joins_by_another_name_which_its_group_refuses() -> None:
    """A Kafka group takes no member that has no protocol in common with those that are there."""

    async def test() -> None:
        app = built()
        with consumer_of(app) as consumer:
            made = consumer._thread._create_worker_consumer(app.transport)
            (assignor,) = made._partition_assignment_strategy
            assert assignor.name == protocol(SETTINGS)
            await made.stop()

    on_loop(test)


class Client:
    """What Faust has of aiokafka: the group refused it; it ends as it is told."""

    def __init__(self, end: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._coordinator = self
        self.stop = end

    def check_errors(self) -> None:
        raise InconsistentGroupProtocolError


def test_a_refusal_of_the_group_is_heard() -> None:
    """Faust asks nobody for it, and would wait for ever to be taken."""

    async def test() -> None:
        fed = feed()
        with consumer_of(built(fed)) as consumer:
            thread = consumer._thread
            thread._consumer = Client(lambda: asyncio.sleep(0))
            await thread._hear_the_group.fun(thread)
        assert isinstance(fed.refused, InconsistentGroupProtocolError)

    on_loop(test)


async def never() -> None:
    await asyncio.sleep(1000)


async def cancelled() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("end", [never, cancelled])
def test_a_client_that_does_not_end_without_its_broker_does_not_keep_the_process(
    monkeypatch: pytest.MonkeyPatch, end: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    """Either kept Faust for a minute: aiokafka waits, or raises what its own cancelled task raised."""
    monkeypatch.setattr("streamproc.analytics.transport._LEAVE_S", 0.01)

    async def test() -> None:
        with consumer_of(built()) as consumer:
            thread = consumer._thread
            thread._consumer = Client(end)
            await asyncio.wait_for(thread.on_thread_stop(), 5)

    on_loop(test)


def test_a_last_commit_that_no_broker_takes_does_not_keep_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.analytics.transport._COMMIT_S", 0.01)

    async def test() -> None:
        with consumer_of(built()) as consumer:
            monkeypatch.setattr(consumer, "commit_and_end_transactions", never)
            await asyncio.wait_for(consumer.on_stop(), 5)

    on_loop(test)


def test_what_is_agreed_on_is_told_until_it_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.analytics.app.AGAIN_S", 0.0)

    async def test() -> None:
        sent = Sent(away=1)
        fed = feed(sent=sent)
        await fed.announce()
        assert [decode_agreement(record.key, record.value) for record in sent.records] == 2 * [agreement(SETTINGS)]

    on_loop(test)


def test_faust_flushes_for_a_tenth_of_a_second_and_then_commits() -> None:
    """Why there is no table: a changelog record that waits longer is behind the offset that is committed next."""

    async def test() -> None:
        buffer: Any = ProducerBuffer()
        buffer.app = built()
        buffer._started.set()
        buffer.pending.put_nowait("a changelog record that the broker does not take yet")
        await buffer.flush()
        assert buffer.size == 1

    on_loop(test)
