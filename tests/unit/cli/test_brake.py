import json
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.operate.endpoint import local_worker
from streamproc.settings import HttpSettings
from streamproc.telemetry.http import Check, Endpoints, HttpServer
from streamproc.telemetry.metrics import Metrics

run = CliRunner()


class FakeWorker:
    """Its endpoints are real, its brake is a flag."""

    def __init__(self) -> None:
        self.on = True
        well = Check(ok=True)
        self._server = HttpServer(
            HttpSettings(port=0), Endpoints(Metrics().registry, lambda: well, lambda: well, self.status, self.release)
        )
        self._server.start()
        self.address = f"127.0.0.1:{self._server.port}"
        self.close = self._server.close

    def release(self) -> bool:
        on, self.on = self.on, False
        return on

    def status(self) -> dict[str, object]:
        more = {"since": "2026-11-22T03:00:00.000+00:00", "why": "50 records in a row became dead letters"}
        brake = {"on": self.on, "times": 1, "dead_letters": 50, "of_the_last": 77, **(more if self.on else {})}
        return {"state": "holding" if self.on else "working", "brake": brake}


@pytest.fixture
def worker() -> Iterator[FakeWorker]:
    worker = FakeWorker()
    yield worker
    worker.close()


def test_the_brake_of_a_worker_is_shown_with_what_to_do(worker: FakeWorker) -> None:
    answer = run.invoke(app, ["brake", "--worker", worker.address])
    assert answer.exit_code == 0, answer.output
    numbers = "(50 of the last 77 records); on once since the worker started"
    for text in (worker.address, "on", "2026-11-22T03:00:00", "50 records in a row", numbers, "brake release"):
        assert text in answer.output


def test_it_is_shown_as_json(worker: FakeWorker) -> None:
    answer = run.invoke(app, ["brake", "--json", "--worker", worker.address])
    said = json.loads(answer.stdout)
    assert (said["worker"], said["on"], said["dead_letters"], said["of_the_last"]) == (worker.address, True, 50, 77)


def test_it_is_released_and_said_whether_it_was_on(worker: FakeWorker) -> None:
    for said in ("released", "was off"):
        answer = run.invoke(app, ["brake", "release", "--worker", worker.address])
        assert (answer.exit_code, answer.stdout) == (0, f"{worker.address}: {said}\n")
    assert '"on": false' in run.invoke(app, ["brake", "--json", "--worker", worker.address]).stdout


def test_the_worker_of_this_host_is_meant_when_none_is_named(
    worker: FakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMPROC_HTTP__HOST", "0.0.0.0")  # noqa: S104  # nothing is bound to it here
    monkeypatch.setenv("STREAMPROC_HTTP__PORT", worker.address.partition(":")[2])
    assert json.loads(run.invoke(app, ["brake", "release", "--json"]).stdout)["released"] is True
    assert not worker.on


@pytest.mark.parametrize("command", [["brake"], ["brake", "release"]])
def test_a_worker_that_does_not_answer_is_named_beside_those_that_do(worker: FakeWorker, command: list[str]) -> None:
    worker.close()
    other = FakeWorker()
    answer = run.invoke(app, [*command, "--worker", worker.address, "--worker", other.address])
    other.close()
    assert answer.exit_code == 3
    assert f"worker {worker.address} does not answer" in answer.stderr
    assert "--worker HOST:PORT" in answer.stderr
    assert other.address in answer.stdout


def test_a_worker_on_one_interface_is_asked_there() -> None:
    assert local_worker(HttpSettings(host="10.0.0.7", port=1)) == "10.0.0.7:1"


@pytest.mark.parametrize("address", ["http://127.0.0.1:9464", "nonsense", "a b:1", "host:1/status"])
def test_an_address_that_is_none_is_refused_with_how_it_is_written(address: str) -> None:
    answer = run.invoke(app, ["brake", "--worker", address])
    assert answer.exit_code == 2
    assert "write HOST:PORT, as in 10.0.0.7:9464" in answer.stderr


def test_another_program_in_a_workers_place_is_told_without_advice_for_web_developers(worker: FakeWorker) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streamproc.operate.brake.RELEASE", "/elsewhere")
        answer = run.invoke(app, ["brake", "release", "--worker", worker.address])
    assert answer.exit_code == 3
    assert "another program may listen there" in answer.stderr
    assert "developer.mozilla.org" not in answer.stderr
