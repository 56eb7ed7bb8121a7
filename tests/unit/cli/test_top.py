import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.errors import ExitCode
from streamproc.settings import HttpSettings
from streamproc.telemetry.http import Check, Endpoints, HttpServer
from streamproc.telemetry.metrics import Metrics

NOWHERE = "127.0.0.1:1"


@contextmanager
def worker(**status: object) -> Iterator[str]:
    metrics, well = Metrics(), Check(ok=True)
    metrics.ready.set(1)
    server = HttpServer(HttpSettings(port=0), Endpoints(metrics.registry, lambda: well, lambda: well, lambda: status))
    server.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        server.close()


def test_one_look_at_a_worker_and_at_one_that_is_not_there() -> None:
    with worker() as here:
        words = ["top", "--once", "--every", "0.2", "--worker", here]
        alone = CliRunner().invoke(app, words)
        both = CliRunner().invoke(app, [*words, "--worker", NOWHERE, "--json"])
    assert alone.exit_code == ExitCode.DONE
    assert here in alone.stdout
    assert "ready" in alone.stdout
    assert both.exit_code == ExitCode.DEPENDENCY_DOWN
    said = json.loads(both.stdout)
    assert [one["worker"] for one in said["workers"]] == [here]
    assert NOWHERE in said["missing"][0]


def test_the_group_that_is_looked_at_is_told_and_that_it_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_KAFKA__GROUP", "ours")
    words = ["top", "--once", "--every", "0.2", "--worker"]
    with worker(group="ours") as here:
        told = CliRunner().invoke(app, [*words, here]).stdout
        said = json.loads(CliRunner().invoke(app, [*words, here, "--json"]).stdout)
    assert "group            ours\n" in told
    assert said["workers"][0]["group"] == "ours"
    with worker(group="theirs") as here:
        told = CliRunner().invoke(app, [*words, here]).stdout
    assert "group            theirs   kafka.group here is ours\n" in told


@pytest.mark.parametrize("address", ["http://127.0.0.1:19464", "nonsense", "127.0.0.1:99999", "127.0.0.1:0"])
def test_an_address_that_is_none_is_wrong_use(address: str) -> None:
    done = CliRunner().invoke(app, ["top", "--once", "--worker", address])
    assert done.exit_code == ExitCode.USAGE
    assert "write HOST:PORT" in done.stderr


def test_where_a_worker_takes_any_port_its_address_is_to_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_HTTP__PORT", "0")
    for words in (["top", "--once"], ["brake"], ["brake", "release"]):
        done = CliRunner().invoke(app, words)
        assert done.exit_code == ExitCode.USAGE
        assert done.stderr.count("http.port is 0, so that a worker takes a free port") == 1
        assert "say it with --worker HOST:PORT" in done.stderr


def test_what_is_no_worker_is_missing_and_not_idle() -> None:
    endpoints = Endpoints(CollectorRegistry(), lambda: Check(ok=True), lambda: Check(ok=True), dict)
    server = HttpServer(HttpSettings(port=0), endpoints)
    server.start()
    try:
        here = f"127.0.0.1:{server.port}"
        done = CliRunner().invoke(app, ["top", "--once", "--every", "0.2", "--worker", here, "--json"])
    finally:
        server.close()
    assert done.exit_code == ExitCode.DEPENDENCY_DOWN
    said = json.loads(done.stdout)
    assert said["workers"] == []
    assert "it is no worker of ours" in said["missing"][0]
