"""What a worker says where it starts: of its engine, takeovers, topics and servers that are not there."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streamproc import wiring
from streamproc.errors import DependencyDownError, UsageError
from streamproc.kafka.admin import Answer, ask_broker
from streamproc.patience import Patience
from streamproc.settings import (
    HttpSettings,
    KafkaSettings,
    LocalSettings,
    ModelSettings,
    Settings,
    TraceSettings,
    WorkerSettings,
)
from streamproc.telemetry.metrics import Metrics
from streamproc.testing.clock import ManualClock
from streamproc.worker.threads import ThreadHost
from tests.programs import code_unread
from tests.unit.kafka.mock_cluster import mock_cluster

ROOT = Path(__file__).parents[2]


def told(settings: Settings, answer: Answer) -> dict[str, object]:
    with capture_logs() as lines:
        wiring.tell_broker(settings, answer)
    return {str(line["event"]): line.get("seconds") for line in lines}


@pytest.mark.parametrize(
    ("broker_s", "lines"),
    [
        (6.0, {"others take over when a worker dies": 45.0}),
        (
            45.0,
            {
                "others take over when a worker dies": 61.25,
                "the broker's session is another than the settings say": 45.0,
            },
        ),
        (None, {}),
    ],
)
def test_a_takeover_is_told_with_the_brokers_session(broker_s: float | None, lines: dict[str, float]) -> None:
    assert told(Settings(), Answer((), broker_s)) == lines


def test_the_classic_protocol_has_its_session_from_the_settings() -> None:
    with mock_cluster() as cluster, capture_logs() as lines:
        kafka = KafkaSettings(
            bootstrap_servers=cluster.bootstrap_servers, group_protocol="classic", session_timeout_s=10
        )
        assert ask_broker(Settings(kafka=kafka)).session_s == 10
    assert lines == []


def test_a_broker_that_does_not_say_is_a_warning_and_no_error() -> None:
    """The client's own mock of a broker does not know the question."""
    with mock_cluster() as cluster, capture_logs() as lines:
        answer = ask_broker(Settings(kafka=KafkaSettings(bootstrap_servers=cluster.bootstrap_servers)))
    assert answer.session_s is None
    (line,) = lines
    assert (line["log_level"], line["event"]) == ("warning", "the broker does not say how long a session lasts")
    assert line["detail"]


def test_no_broker_is_a_dependency_that_is_down_and_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.kafka.admin._ASK_S", 0.5)
    with pytest.raises(DependencyDownError, match=r"127\.0\.0\.1:1 \(kafka\.bootstrap_servers\)"):
        ask_broker(Settings(kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1")))


def test_topics_that_are_missing_are_told_with_the_broker() -> None:
    with mock_cluster() as cluster, capture_logs() as lines:
        settings = Settings(kafka=KafkaSettings(bootstrap_servers=cluster.bootstrap_servers))
        wiring.tell_broker(settings, Answer(ask_broker(settings).missing, None))
    line = lines[-1]
    assert (line["log_level"], line["event"], line["count"]) == ("warning", "topics are missing", 8)
    assert f"{cluster.bootstrap_servers} has no audio.recordings, " in str(line["detail"])


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """Time that passes only while something waits."""
    clock = ManualClock()
    monkeypatch.setattr("tenacity.nap.time.sleep", clock.advance)
    return clock


def failing(times: int) -> Callable[[], str]:
    left = iter(range(times))

    def call() -> str:
        for _ in left:
            raise DependencyDownError("kafka", "kafka:9092 (kafka.bootstrap_servers): timed out")
        return "there"

    return call


def test_a_server_that_comes_in_time_was_worth_waiting_for(clock: ManualClock) -> None:
    missing: list[bool] = []
    patience = Patience(WorkerSettings(start_wait_s=9), clock, missing=missing.append)
    with capture_logs() as lines:
        assert patience(failing(3)) == "there"
    assert [(line["event"], line["dependency"], line["seconds"]) for line in lines] == [
        ("waiting for a server", "kafka", seconds) for seconds in (9, 7, 5)
    ]
    assert lines[0]["detail"] == "kafka:9092 (kafka.bootstrap_servers): timed out; this process gives up in 9 s"
    assert missing == [True, True, True, False]


def test_all_servers_together_are_waited_for_as_long_as_the_setting_says(clock: ManualClock) -> None:
    patience = Patience(WorkerSettings(start_wait_s=9), clock)
    began = clock.monotonic()
    assert patience(failing(4)) == "there"
    with pytest.raises(DependencyDownError):
        patience(failing(100))
    assert clock.monotonic() - began == pytest.approx(9)


def test_anything_else_is_not_waited_for(clock: ManualClock) -> None:
    def refuse() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        Patience(WorkerSettings(), clock)(refuse)


def start(folder: Path, **variables: str) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "STREAMPROC_HTTP__PORT": "0",
        "STREAMPROC_KAFKA__SLOT": "0",
        "STREAMPROC_REGISTRY__URL": "http://127.0.0.1:1",
        "STREAMPROC_LOCAL__STATE_DIR": str(folder),
        **variables,
    }
    command = [sys.executable, "-m", "streamproc", "worker"]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def test_a_worker_without_a_broker_says_so_and_ends_with_exit_code_3(tmp_path: Path) -> None:
    variables = {"STREAMPROC_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1", "STREAMPROC_WORKER__START_WAIT_S": "0.5"}
    with start(tmp_path, **variables) as worker:
        _, said = worker.communicate(timeout=60)
    assert worker.returncode == 3
    assert "127.0.0.1:1 (kafka.bootstrap_servers)" in said.splitlines()[-1]


def test_a_worker_without_a_registry_waits_as_for_a_broker(tmp_path: Path) -> None:
    with mock_cluster() as cluster:
        variables = {
            "STREAMPROC_KAFKA__BOOTSTRAP_SERVERS": cluster.bootstrap_servers,
            "STREAMPROC_KAFKA__GROUP_PROTOCOL": "classic",
            "STREAMPROC_WORKER__START_WAIT_S": "3",
        }
        with start(tmp_path, **variables) as worker:
            _, said = worker.communicate(timeout=60)
    assert worker.returncode == 3
    assert [line for line in said.splitlines() if "waiting for a server" in line]
    assert "http://127.0.0.1:1 (registry.url)" in said.splitlines()[-1]


def test_a_worker_that_waits_can_be_stopped(tmp_path: Path) -> None:
    with (
        mock_cluster() as cluster,
        start(tmp_path, STREAMPROC_KAFKA__BOOTSTRAP_SERVERS=cluster.bootstrap_servers) as worker,
    ):
        assert worker.stderr is not None
        while "waiting for a server" not in worker.stderr.readline():
            assert worker.poll() is None
        worker.send_signal(signal.SIGTERM)
        _, said = worker.communicate(timeout=60)
    assert worker.returncode == 0
    assert '"event": "stopped"' in said.splitlines()[-1]


def test_a_worker_that_is_told_to_stop_within_a_callback_of_a_library_stops(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def ask(_settings: Settings) -> Answer:
        with suppress(KeyboardInterrupt):  # as what calls back does, and the end of an object
            signal.raise_signal(signal.SIGTERM)
        return Answer((), None)

    built: list[object] = []
    monkeypatch.setattr(wiring, "ask_broker", ask)
    monkeypatch.setattr(wiring, "build_worker", lambda *_: built.append(object()))
    before = signal.getsignal(signal.SIGTERM)
    settings = Settings(http=HttpSettings(port=0), kafka=KafkaSettings(slot=0), local=LocalSettings(state_dir=tmp_path))
    with capture_logs() as said:
        wiring.run_worker(settings)
    assert (len(built), said[-1]["event"]) == (1, "stopped")
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_engine_that_is_not_installed_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(model=ModelSettings(engine="funasr"))
    assert wiring.located(settings).engine == "funasr"
    monkeypatch.setitem(sys.modules, "funasr", None)
    with pytest.raises(UsageError, match=r"pip install '\.\[funasr\]'"):
        wiring.located(settings)


def test_traces_are_off_unless_they_are_asked_for() -> None:
    assert wiring.open_traces(TraceSettings(), "0", ExitStack()) is None


def test_traces_without_their_library_are_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "streamproc.telemetry.spans", None)
    with pytest.raises(UsageError, match=r"pip install 'streamproc\[otel\]'"):
        wiring.open_traces(TraceSettings(endpoint="http://127.0.0.1:4318/v1/traces"), "0", ExitStack())


def test_what_blocks_is_called_beside_and_once_at_a_time() -> None:
    called, go = threading.Semaphore(0), threading.Event()

    def block() -> None:
        called.release()
        go.wait(10)

    running: list[threading.Thread] = []

    class Host(ThreadHost):
        def start(self, name: str, run: Callable[[], None]) -> threading.Thread:
            running.append(super().start(name, run))
            return running[-1]

    look = wiring.beside(Host(Metrics().sheets), "redis", block)
    look()
    assert called.acquire(timeout=10)
    look()
    assert len(running) == 1
    go.set()
    running[0].join(10)
    look()
    assert len(running) == 2
    running[1].join(10)


STUCK_START = """
import os, sys
from streamproc import cli, wiring

wiring.longest_silence_s = lambda settings: 2.0
os.set_blocking(2, False)
try:
    while True:
        os.write(2, b"x" * 4096)
except BlockingIOError:
    os.set_blocking(2, True)
sys.argv = ["streamproc", "worker"]
cli.main()
"""


def test_a_worker_that_cannot_even_log_its_start_ends(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "STREAMPROC_HTTP__PORT": "0"}
    assert code_unread(STUCK_START, tmp_path, environment, 90) == 4
