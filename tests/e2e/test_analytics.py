"""The analytics app on a real Kafka: killed, joined by others, fed repeats, late and aborted rows."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from streamproc.settings import Settings
from streamproc.wiring import prepare
from tests.e2e.conversations import Conversations, differences
from tests.e2e.workers import PATIENCE_S, until

RESULTS = int(os.environ.get("ANALYTICS_RESULTS", "2000"))
"""Of the test that kills; 100000 take a quarter of an hour."""
SETTLE_S = PATIENCE_S + RESULTS / 100


class App:
    """`streamproc analytics` in a process of its own, with its log in a file."""

    def __init__(self, settings: Settings, folder: Path, name: str) -> None:
        topics = {
            name: getattr(settings.topics, name) for name in ("results", "segments", "trends", "alerts", "partials")
        }
        self.environment = {
            **os.environ,
            "STREAMPROC_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
            "STREAMPROC_REGISTRY__URL": settings.registry.url,
            "STREAMPROC_ANALYTICS__GROUP": settings.analytics.group,
            "STREAMPROC_ANALYTICS__PORT": "0",
            "STREAMPROC_ANALYTICS__EMIT_S": "0.5",
            **{f"STREAMPROC_TOPICS__{name.upper()}": topic for name, topic in topics.items()},
        }
        self._folder = folder
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = self._run(None)

    def _run(self, output: int | None, *arguments: str) -> subprocess.Popen[bytes]:
        """What it says is in its log; ``output`` is where its answer goes."""
        command = [sys.executable, "-m", "streamproc", "analytics", *arguments]
        with self.log.open("ab" if arguments else "wb") as log:
            return subprocess.Popen(command, env=self.environment, cwd=self._folder, stdout=output or log, stderr=log)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(PATIENCE_S)

    def lines(self, event: str) -> list[Mapping[str, Any]]:
        found = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        return [line for line in found if line.get("event") == event]

    def owns(self) -> int:
        """How many partitions it has read since it was given them last."""
        lines = self.lines("partitions read")
        return lines[-1]["count"] if lines else 0

    def ask(self, path: str) -> Any:
        (line,) = self.lines("analytics starts")
        with urllib.request.urlopen(f"{line['url']}{path}", timeout=10) as answer:  # noqa: S310  # its own address
            return json.loads(answer.read())

    def rebuild(self) -> Mapping[str, Any]:
        """What `streamproc analytics rebuild --dry-run` finds."""
        process = self._run(subprocess.PIPE, "rebuild", "--dry-run", "--json")
        text, _ = process.communicate(timeout=SETTLE_S)
        assert text, self.tail()
        found: Mapping[str, Any] = json.loads(text)
        assert process.returncode == (1 if found["differing"] else 0)
        return found

    def tail(self) -> str:
        return self.log.read_text()[-4000:]


@pytest.fixture
def analysed(own: Settings) -> Settings:
    """Topics and a group that nobody else uses."""
    name = own.kafka.group
    topics = own.topics.model_copy(update={what: f"{name}.{what}" for what in ("trends", "alerts", "partials")})
    group = own.analytics.model_copy(update={"group": f"{name}-analytics"})
    settings = own.model_copy(update={"topics": topics, "analytics": group})
    prepare(settings)
    return settings


@pytest.fixture
def apps(analysed: Settings, tmp_path: Path) -> Iterator[tuple[App, App]]:
    made = App(analysed, tmp_path, "first"), App(analysed, tmp_path, "second")
    yield made
    for app in made:
        app.stop()


def settled(settings: Settings, *apps: App) -> None:
    """Wait until readers have what the topics come to."""
    until(lambda: not differences(settings), SETTLE_S, lambda: "\n".join(app.tail() for app in apps))


def exact(app: App) -> bool:
    """Whether it owns everything, and a rebuild finds nothing to correct."""
    return app.owns() == 4 and app.rebuild()["differing"] == 0


@pytest.mark.timeout(6 * SETTLE_S)
def test_windows_are_exact_through_kills_and_rebalances(analysed: Settings, apps: tuple[App, App]) -> None:
    first, second = apps
    calls = Conversations(analysed, seed=1, total=RESULTS)
    calls.write(RESULTS // 4)
    first.start()
    until(lambda: first.owns() == 4, PATIENCE_S, first.tail)
    for _ in range(2):
        calls.write(RESULTS // 8)
        first.kill()
        first.start()
    until(lambda: first.owns() == 4, PATIENCE_S, first.tail)
    second.start()
    until(lambda: first.owns() == second.owns() == 2, PATIENCE_S, lambda: first.tail() + second.tail())
    calls.write(RESULTS // 4)
    first.kill()
    calls.write(RESULTS // 4)
    until(lambda: second.owns() == 4, PATIENCE_S, second.tail)
    settled(analysed, second)
    found = second.rebuild()
    assert found["differing"] == 0
    assert found["windows"] > 500
    assert found["raised"] > 0
    assert {"ahead", "repeated"} <= found["left_out"].keys()
    windows = second.ask("/api/windows?attribute=agent")
    assert windows[0]["results"] > 0
    assert second.stop() == 0


def test_what_is_computed_does_not_depend_on_committed_offsets(analysed: Settings, apps: tuple[App, App]) -> None:
    """Faust may commit past what was not taken (its issue 606); here nothing was taken and everything is committed."""
    Conversations(analysed, seed=2, total=300).write(300)
    group = {"bootstrap.servers": analysed.kafka.bootstrap_servers, "group.id": analysed.analytics.group}
    consumer = Consumer(group)
    places = [TopicPartition(t, p) for t in (analysed.topics.results, analysed.topics.segments) for p in range(4)]
    ends = [consumer.get_watermark_offsets(place, timeout=60)[1] for place in places]
    consumer.commit(
        offsets=[TopicPartition(p.topic, p.partition, end) for p, end in zip(places, ends, strict=True)],
        asynchronous=False,
    )
    consumer.close()
    apps[0].start()
    settled(analysed, apps[0])


def test_a_takeover_reads_what_windows_need_and_no_more(analysed: Settings, apps: tuple[App, App]) -> None:
    Conversations(analysed, seed=5, total=1200, hours=8).write(1200)
    rows = []
    for app in apps:
        app.environment["STREAMPROC_ANALYTICS__RETENTION_S"] = "3600"
        app.start()
        until(partial(exact, app), PATIENCE_S, app.tail)
        assert app.stop() == 0
        rows.append(app.lines("partitions read")[-1]["records"])
    assert rows[1] < 0.6 * rows[0]


def test_a_rebuild_writes_what_is_missing(analysed: Settings, apps: tuple[App, App]) -> None:
    Conversations(analysed, seed=3, total=200).write(200)
    assert apps[0].rebuild()["trends"] > 0
    process = apps[0]._run(subprocess.PIPE, "rebuild", "--json")
    assert json.loads(process.communicate(timeout=PATIENCE_S)[0])["written"]
    assert differences(analysed) == []
    assert apps[0].rebuild()["differing"] == 0


def test_aborted_rows_do_not_count(analysed: Settings, apps: tuple[App, App]) -> None:
    """Faust reads them by itself, while its app is not transactional."""
    apps[0].start()
    until(lambda: apps[0].owns() == 4, PATIENCE_S, apps[0].tail)
    calls = Conversations(analysed, seed=4, total=400, aborts=0.5)
    calls.write(400, transaction=20)
    assert calls.aborted > 5
    settled(analysed, apps[0])
