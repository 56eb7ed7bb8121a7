"""The analytics app as its supervisor sees it, and what a proof puts it through."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from streamproc.settings import Settings
from tests.e2e.conversations import Conversations, differences
from tests.e2e.workers import PATIENCE_S, until

PARTITIONS = 4


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
            "STREAMPROC_ANALYTICS__RETENTION_S": str(settings.analytics.retention_s),
            **{f"STREAMPROC_TOPICS__{name.upper()}": topic for name, topic in topics.items()},
        }
        self._folder = folder
        self.log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = self.run(None)

    def run(self, output: int | None, *arguments: str) -> subprocess.Popen[bytes]:
        """What it says is in its log; ``output`` is where its answer goes."""
        command = [sys.executable, "-m", "streamproc", "analytics", *arguments]
        with self.log.open("ab" if arguments else "wb") as log:
            return subprocess.Popen(command, env=self.environment, cwd=self._folder, stdout=output or log, stderr=log)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Meanwhile it does nothing, and its group takes it for dead."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def stop(self, patience_s: float = PATIENCE_S) -> int:
        """End it by SIGTERM; its exit code."""
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self.wait(patience_s)

    def wait(self, patience_s: float = PATIENCE_S) -> int:
        """Wait for its end, and kill it when that does not come; its exit code."""
        assert self._process is not None
        try:
            return self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

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

    def figure(self, name: str) -> float:
        """What a metric without labels says."""
        (line,) = self.lines("analytics starts")
        with urllib.request.urlopen(f"{line['url']}/metrics", timeout=10) as answer:  # noqa: S310  # its own address
            said: str = answer.read().decode()
        return next(float(one.split()[1]) for one in said.splitlines() if one.startswith(f"{name} "))

    def rebuild(self, patience_s: float = PATIENCE_S) -> Mapping[str, Any]:
        """What `streamproc analytics rebuild --dry-run` finds."""
        process = self.run(subprocess.PIPE, "rebuild", "--dry-run", "--json")
        text, _ = process.communicate(timeout=patience_s)
        assert text, self.tail()
        found: Mapping[str, Any] = json.loads(text)
        assert process.returncode == (1 if found["differing"] else 0)
        return found

    def tail(self) -> str:
        return self.log.read_text()[-4000:]


def of_its_own(settings: Settings, name: str, **changed: object) -> Settings:
    """The settings with topics and a group of the app that nobody else uses."""
    topics = settings.topics.model_copy(update={what: f"{name}.{what}" for what in ("trends", "alerts", "partials")})
    app = settings.analytics.model_copy(update={"group": f"{name}-analytics", **changed})
    return settings.model_copy(update={"topics": topics, "analytics": app})


def shake(
    calls: Conversations, first: App, second: App, patience_s: float, say: Callable[[str], object] = lambda _: None
) -> None:
    """Write all results while the app is killed three times, each time as an owner of partitions, and joined once."""
    part = calls.total // 8
    calls.write(2 * part)
    first.start()
    until(lambda: first.owns() == PARTITIONS, patience_s, first.tail)
    for _ in range(2):
        calls.write(part)
        say(f"{calls.written} results written; killing the owner of {first.owns()} partitions")
        first.kill()
        first.start()
        until(lambda: first.owns() == PARTITIONS, patience_s, first.tail)
    second.start()
    until(lambda: first.owns() == second.owns() == PARTITIONS // 2, patience_s, lambda: first.tail() + second.tail())
    calls.write(2 * part)
    say(f"{calls.written} results written; killing the owner of {first.owns()} partitions, one of two processes")
    first.kill()
    calls.write(calls.total - calls.written)
    until(lambda: second.owns() == PARTITIONS, patience_s, second.tail)


def settled(settings: Settings, patience_s: float, *apps: App) -> None:
    """Wait until readers have what the topics come to."""
    until(lambda: not differences(settings), patience_s, lambda: "\n".join(app.tail() for app in apps))
