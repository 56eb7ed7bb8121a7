import io
import json

import pytest
from rich.console import Console
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.cli.servers import server_table, span
from streamproc.local.stack import Stack
from streamproc.local.status import ServerStatus
from streamproc.settings import Settings

RUNNING = ServerStatus("kafka", "running", "127.0.0.1:29092", 4711, 250 * 1024**2, "4.3.1", 3_725.4, "/tmp/log")  # noqa: S108  # a name, no file
STOPPED = ServerStatus("redis", "stopped")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3_725.4, "1 h 2 min"), (90_061, "1 d 1 h"), (86_400, "1 d")],
)
def test_spans_are_told_in_two_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_the_table_holds_address_pid_memory_version_and_uptime_within_80_columns() -> None:
    out = io.StringIO()
    Console(file=out, width=80).print(server_table([RUNNING, STOPPED]))
    for text in ("127.0.0.1:29092", "4711", "250 MiB", "4.3.1", "1 h 2 min", "stopped"):
        assert text in out.getvalue()


def test_status_as_json_holds_every_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.local.stack.status", lambda _settings: [RUNNING, STOPPED])
    done = CliRunner().invoke(app, ["status", "--json"])
    assert done.exit_code == 0
    kafka, redis = json.loads(done.stdout)
    assert (kafka["pid"], kafka["memory_bytes"]) == (4711, 250 * 1024**2)
    assert redis["address"] is None


def test_status_says_how_to_start_what_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.local.stack.status", lambda _settings: [STOPPED])
    assert "`streamproc up` starts" in CliRunner().invoke(app, ["status"]).output


@pytest.mark.parametrize("name", ["postgres", "connect", "watch"])
def test_what_up_alone_does_not_start_is_hinted_at_with_what_does(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("streamproc.local.stack.status", lambda _settings: [STOPPED, ServerStatus(name, "stopped")])
    assert "`streamproc up --with warehouse` starts" in CliRunner().invoke(app, ["status"]).output


@pytest.mark.parametrize("words", [(), ("--with", "warehouse")])
def test_up_says_how_to_ask_a_warehouse_that_it_started(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    stack = Stack(Settings(), (), frozenset())
    monkeypatch.setattr("streamproc.local.stack.up", lambda *_: stack)
    done = CliRunner().invoke(app, ["up", *words])
    assert ("`streamproc warehouse ask`" in done.output) == bool(words)
    assert "`streamproc publish my.wav`" in done.output
