import json

from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.errors import ExitCode
from streamproc.settings import HttpSettings
from streamproc.telemetry.http import Check, Endpoints, HttpServer
from streamproc.telemetry.metrics import Metrics

NOWHERE = "127.0.0.1:1"


def test_one_look_at_a_worker_and_at_one_that_is_not_there() -> None:
    metrics = Metrics()
    metrics.ready.set(1)
    endpoints = Endpoints(metrics.registry, health=lambda: Check(ok=True), ready=lambda: Check(ok=True), status=dict)
    server = HttpServer(HttpSettings(port=0), endpoints)
    server.start()
    here = f"127.0.0.1:{server.port}"
    words = ["top", "--once", "--every", "0.2", "--worker", here]
    try:
        alone = CliRunner().invoke(app, words)
        both = CliRunner().invoke(app, [*words, "--worker", NOWHERE, "--json"])
    finally:
        server.close()
    assert alone.exit_code == ExitCode.DONE
    assert here in alone.stdout
    assert "ready" in alone.stdout
    assert both.exit_code == ExitCode.DEPENDENCY_DOWN
    said = json.loads(both.stdout)
    assert [one["worker"] for one in said["workers"]] == [here]
    assert NOWHERE in said["missing"][0]


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
