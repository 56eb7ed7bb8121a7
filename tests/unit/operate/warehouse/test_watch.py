import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from streamproc.errors import DependencyDownError
from streamproc.kafka.registry import connect as connect_registry
from streamproc.operate.place import Place
from streamproc.operate.warehouse import watch as module
from streamproc.operate.warehouse.login import Login
from streamproc.operate.warehouse.measure import Measured
from streamproc.operate.warehouse.rest import Connect, State, open_connect
from streamproc.operate.warehouse.watch import (
    FIRST_WAIT_S,
    LONGEST_WAIT_S,
    MEASURE_S,
    STARTS,
    Backoff,
    Standstill,
    Watch,
)
from streamproc.records.record import TopicPartition
from streamproc.settings import ConnectSettings, RegistrySettings, Settings
from streamproc.telemetry.connectors import ConnectorMetrics
from tests.unit.operate.warehouse.scripted import FAILED, RUNNING, SHUT, Reply, serving


def starts(backoff: Backoff, moments: list[float]) -> list[float]:
    found = []
    for now in moments:
        if backoff.due("one", now):
            backoff.started("one", now)
            found.append(now)
    return found


def test_the_first_start_is_at_once_and_each_next_waits_twice_as_long_up_to_a_ceiling() -> None:
    found = starts(Backoff(), [float(second) for second in range(400)])
    waits = [after - before for before, after in pairwise(found)]
    assert found[0] == 0
    assert waits[:5] == [FIRST_WAIT_S * 2**turn for turn in range(5)]
    assert set(waits[5:]) == {LONGEST_WAIT_S}


def test_a_connector_that_ran_for_long_is_started_at_once_again() -> None:
    backoff = Backoff()
    starts(backoff, [float(second) for second in range(100)])
    assert starts(backoff, [1_000.0, 1_000.5, 1_002.0]) == [1_000.0, 1_002.0]


def test_one_connector_does_not_wait_for_another() -> None:
    backoff = Backoff()
    backoff.started("one", 0)
    assert not backoff.due("one", 1)
    assert backoff.due("other", 1)


@given(st.lists(st.floats(0, 1_000), min_size=1).map(sorted))
def test_starts_are_never_closer_than_the_first_wait(moments: list[float]) -> None:
    found = starts(Backoff(), moments)
    assert all(after - before >= FIRST_WAIT_S for before, after in pairwise(found))


def place(offset: int, partition: int = 0) -> Place:
    return Place(TopicPartition("t", partition), offset)


def test_a_place_that_is_not_passed_is_told_after_some_starts() -> None:
    standstill = Standstill()
    told = [set(standstill.started("one", [place(7), place(at, 1)])) for at in range(STARTS + 1)]
    assert told == [set()] * (STARTS - 1) + [{place(7)}] * 2


def test_a_place_is_told_whatever_other_places_did_before_it() -> None:
    standstill = Standstill()
    for at in range(STARTS):
        standstill.started("one", [place(7), place(at, 1)])
    told = [set(standstill.started("one", [place(7), place(9, 1)])) for _ in range(STARTS)]
    assert told == [{place(7)}] * (STARTS - 1) + [{place(7), place(9, 1)}]


def test_what_stood_still_is_forgotten_once_the_connector_ran() -> None:
    standstill = Standstill()
    for _ in range(STARTS):
        standstill.started("one", [place(7)])
    standstill.ran("one")
    assert not standstill.started("one", [place(7)])


def test_a_connector_that_gets_on_is_never_told() -> None:
    standstill = Standstill()
    assert not any(standstill.started("one", [place(at)]) for at in range(3 * STARTS))


class Servers:
    """A cluster whose connectors have all failed, and a registry that may be away."""

    def __init__(self) -> None:
        self.registry: Reply = (503, {"error_code": 503, "message": "away"})
        self.now = 0.0
        self.state: Reply = (200, FAILED)
        self.broken = ""
        """A connector that cannot be started."""
        self.started: list[str] = []
        self.unread: Callable[[Collection[Place]], Collection[Place]] = lambda places: places
        self.measured = 0
        self.now_measured = Measured()

    def measure(self, _metrics: ConnectorMetrics) -> Measured:
        self.measured += 1
        return self.now_measured

    def __call__(self, method: str, path: str) -> Reply:
        if path.startswith("/subjects"):
            return self.registry
        _, _, name, what = path.split("?", maxsplit=1)[0].split("/")
        if method == "POST":
            if name == self.broken:
                return 404, {"message": "no such connector"}
            self.started.append(name)
        if what == "offsets":
            there = {"partition": {"kafka_topic": "t", "kafka_partition": 3}, "offset": {"kafka_offset": 7}}
            return 200, {"offsets": [there]}
        return self.state


@contextmanager
def watching(servers: Servers) -> Iterator[tuple[Watch, Callable[[], None]]]:
    with serving(servers) as connect:
        registry = RegistrySettings(url=connect.url, timeout_s=1)
        more = connect.model_copy(update={"registry_url": "http://registry/apis/registry/v2"})
        watch = Watch(Settings(registry=registry, connect=more), lambda: servers.now, servers.unread, servers.measure)
        with open_connect(connect) as client, connect_registry(registry) as asked:
            yield watch, lambda: watch.step(client, asked)


def test_while_the_registry_is_away_only_what_needs_none_is_started() -> None:
    servers = Servers()
    with watching(servers) as (watch, step):
        with pytest.raises(DependencyDownError, match="schema registry"):
            step()
        assert servers.started == ["dead-letters"]
        assert not watch.ready().ok
        assert "RUNNING/FAILED" in str(watch.status())


def test_what_waited_for_the_registry_is_started_as_soon_as_it_is_back() -> None:
    servers = Servers()
    with watching(servers) as (_, step):
        for second in range(0, 62, 10):
            servers.now = float(second)
            with suppress(DependencyDownError):
                step()
        servers.registry = (200, [])
        servers.now = 62.0
        step()
    assert {"emotion-results", "emotion-segments"} <= set(servers.started)


def test_a_connector_that_cannot_be_started_holds_up_no_other() -> None:
    servers = Servers()
    servers.registry, servers.broken = (200, []), "emotion-results"
    with watching(servers) as (watch, step):
        with pytest.raises(DependencyDownError, match="no such connector"):
            step()
        assert servers.started == ["emotion-segments", "dead-letters"]
        assert b'restarts_total{connector="emotion-segments"} 1.0' in generate_latest(watch.metrics.registry)


def test_the_log_says_where_a_connector_stands_that_fails_again_and_again() -> None:
    servers = Servers()
    servers.registry = (200, [])
    with watching(servers) as (_, step), capture_logs() as logs:
        for turn in range(STARTS):
            assert not [one for one in logs if one["log_level"] == "error"]
            servers.now = turn * LONGEST_WAIT_S
            step()
    told = [one for one in logs if one["log_level"] == "error"]
    assert {str(one["detail"]).partition(": look")[0] for one in told} == {"it does not get past t/3/7"}
    assert len(told) == 3


def test_a_place_with_nothing_to_read_is_not_named() -> None:
    servers = Servers()
    servers.registry, servers.unread = (200, []), lambda _places: ()
    assert not named(servers, 2 * STARTS, LONGEST_WAIT_S)


def test_a_connector_that_ran_between_is_not_said_to_stand() -> None:
    servers = Servers()
    servers.registry = (200, [])
    assert not named(servers, 2 * STARTS, 10 * LONGEST_WAIT_S)


def test_brokers_that_are_away_keep_nothing_from_being_started() -> None:
    def away(_places: Collection[Place]) -> Collection[Place]:
        raise DependencyDownError("kafka", "nobody")

    servers = Servers()
    servers.registry, servers.unread = (200, []), away
    assert not named(servers, STARTS, LONGEST_WAIT_S)
    assert len(servers.started) == 3 * STARTS


def named(servers: Servers, turns: int, apart_s: float) -> list[object]:
    """What the log says of where connectors stand, after so many starts of each."""
    with watching(servers) as (_, step), capture_logs() as logs:
        for turn in range(turns):
            servers.now = turn * apart_s
            step()
    return [one["detail"] for one in logs if one["log_level"] == "error"]


def test_an_answer_that_is_not_connects_does_not_end_the_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    opened: list[ConnectSettings] = []

    def counting(settings: ConnectSettings) -> AbstractContextManager[Connect]:
        opened.append(settings)
        return open_connect(settings)

    monkeypatch.setattr(module, "open_connect", counting)
    stop = threading.Event()
    looks = 0

    def reply(_method: str, _path: str) -> Reply:
        nonlocal looks
        looks += 1
        if looks == 5:
            stop.set()
        return 200, b"<html>welcome</html>"

    with serving(reply) as connect:
        more = connect.model_copy(update={"registry_url": "http://registry/apis/registry/v2"})
        watch = Watch(Settings(connect=more), lambda: 0.0, lambda places: places, lambda _metrics: Measured())
        watch.run(stop)
    assert looks >= 5
    assert len(opened) == 1  # each client reads all certificates anew
    assert "not Kafka Connect's" in str(watch.status())


def test_a_connector_runs_only_if_it_and_all_its_tasks_do() -> None:
    assert State("RUNNING", ("RUNNING", "RUNNING"), None).running
    assert not State("RUNNING", (), None).running
    assert not State("RUNNING", ("RUNNING", "UNASSIGNED"), None).running
    assert not State("PAUSED", ("RUNNING",), None).running
    assert State("RUNNING", ("RUNNING", "FAILED"), "why").failed
    assert not State("PAUSED", ("PAUSED",), None).failed


def test_no_connector_is_shown_running_while_connect_is_away() -> None:
    servers = Servers()
    servers.state = (200, RUNNING)
    with watching(servers) as (watch, step):
        step()
        assert b'connector_running{connector="dead-letters"} 1.0' in generate_latest(watch.metrics.registry)
        assert watch.ready().ok
        servers.state = (404, b"another server")
        with pytest.raises(DependencyDownError, match="another server"):
            step()
        assert b'connector_running{connector="dead-letters"} 0.0' in generate_latest(watch.metrics.registry)
        assert not watch.ready().ok
        assert "RUNNING" not in str(watch.status())


def test_a_connector_that_was_started_again_counts_as_running_once_it_ran_for_a_while() -> None:
    servers = Servers()
    servers.registry = (200, [])
    with watching(servers) as (watch, step):
        step()
        servers.state = (200, RUNNING)
        for servers.now in (1.0, FIRST_WAIT_S + LONGEST_WAIT_S - 1):
            step()
            assert b'connector_running{connector="dead-letters"} 0.0' in generate_latest(watch.metrics.registry)
            assert not watch.ready().ok
            assert watch.status()["settling"] == ["emotion-results", "emotion-segments", "dead-letters"]
        servers.now = FIRST_WAIT_S + LONGEST_WAIT_S
        step()
        assert b'connector_running{connector="dead-letters"} 1.0' in generate_latest(watch.metrics.registry)
        assert watch.ready().ok
        assert watch.status()["settling"] == []


def test_what_keeps_a_connector_from_logging_in_is_tried_and_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    servers = Servers()
    servers.registry, servers.state = (200, []), (200, SHUT)
    monkeypatch.setattr(module, "try_login", lambda _settings: Login('FATAL: role "nobody" does not exist'))
    with watching(servers) as (watch, step), capture_logs() as logs:
        for turn in range(2 * STARTS):
            servers.now = turn * LONGEST_WAIT_S
            step()
    told = [str(one["detail"]) for one in logs if one["event"] == "connector is started again"]
    assert [text for text in told if 'FATAL: role "nobody"' in text] == told[:3]
    assert set(told[3:]) == {"as before"}
    assert not [one for one in logs if one["log_level"] == "error"]  # no record is at fault
    assert "FATAL: role" in str(watch.status())


@pytest.mark.parametrize("wrong", [Measured(warehouse="FATAL: no"), Measured(brokers="kafka does not answer")])
def test_a_warehouse_that_lets_nobody_in_and_brokers_that_are_away_are_not_ready(wrong: Measured) -> None:
    servers = Servers()
    servers.state, servers.now_measured = (200, RUNNING), wrong
    with watching(servers) as (watch, step):
        step()
        watch.measure()
        assert not watch.ready().ok
        assert (watch.status()["warehouse"], watch.status()["brokers"]) == (wrong.warehouse, wrong.brokers)
        servers.now_measured = Measured()
        for servers.now in (1.0, MEASURE_S - 1, MEASURE_S, MEASURE_S + 1):
            watch.measure()
        assert servers.measured == 2
        assert watch.ready().ok
