import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from socket import gaierror
from typing import Any

import psutil
import pytest

from streamproc.entrance import open_front
from streamproc.errors import UsageError
from streamproc.settings import HttpSettings, Settings

ROOT = Path(__file__).parents[2]


def test_it_answers_at_once_what_it_waits_for() -> None:
    began = time.monotonic()
    with (
        open_front(Settings(http=HttpSettings(port=0))) as front,
        urllib.request.urlopen(f"{front.url}/status") as answer,  # noqa: S310  # its own address
    ):
        status = json.load(answer)
        took_s = time.monotonic() - began
    assert (status["state"], status["waits_for"], status["percent"]) == ("starting", "its own code to be read", 0)
    assert status["seconds"] < 0.1
    assert (status["partitions"], status["in_flight"], status["brake"]) == ([], {}, {})
    assert took_s < 5  # 0.02 s on a machine with nothing else to do


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        found: int = free.getsockname()[1]
        return found


@pytest.fixture
def start(port: int, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    with ExitStack() as stack:

        def start(**variables: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "streamproc", "worker"],
                stderr=subprocess.PIPE,
                text=True,
                cwd=tmp_path,
                env=os.environ
                | {
                    "PYTHONPATH": str(ROOT),
                    "STREAMPROC_HTTP__PORT": str(port),
                    "STREAMPROC_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
                    **variables,
                },
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        yield start


def test_a_worker_answers_from_its_first_moment_to_its_next_step(
    start: Callable[..., subprocess.Popen[str]], port: int
) -> None:
    process = start(STREAMPROC_KAFKA__GROUP="g")
    until, told = time.monotonic() + 60, list[dict[str, Any]]()
    while not told or told[-1]["waits_for"] == "its own code to be read":
        assert time.monotonic() < until
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/status") as said:  # our own address
                told.append(json.load(said))
        except OSError:
            assert not told, "refused after it had answered"
        if len(told) == 1:
            used = psutil.Process(process.pid).cpu_times()
        time.sleep(0.01)
    first, last = told[0], told[-1]
    assert (first["state"], first["waits_for"], first["percent"]) == ("starting", "its own code to be read", 0)
    assert (first["group"], first["partitions"], first["in_flight"], first["brake"]) == ("g", [], {}, {})
    assert 0 <= first["seconds"] == first["uptime_s"]
    assert used.user + used.system < 0.2  # 0.05 s; the settings alone take as much as this
    assert (last["waits_for"], last["percent"]) == ("the broker", 16)
    assert [one["uptime_s"] for one in told] == sorted(one["uptime_s"] for one in told)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"STREAMPROC_HTTP__PORT": "many"}, "http.port='many' (STREAMPROC_HTTP__PORT): has to be a port"),
        ({"STREAMPROC_HTTP__HOST": "192.0.2.1"}, "Cannot assign requested address. Set STREAMPROC_HTTP__HOST to"),
        ({"STREAMPROC_KAFKA__GROUP": ""}, "kafka.group='' (STREAMPROC_KAFKA__GROUP): has to be text"),
        ({"STREAMPROC_CONFIG": "none.toml"}, "STREAMPROC_CONFIG names none.toml, which is no file"),
    ],
)
def test_what_is_wrong_is_told_as_ever(
    start: Callable[..., subprocess.Popen[str]], variables: Mapping[str, str], says: str
) -> None:
    process = start(**variables)
    _, told = process.communicate(timeout=60)
    assert (process.returncode, says in told) == (2, True), told


def test_an_address_that_is_taken_is_told() -> None:
    with open_front(Settings(http=HttpSettings(port=0))) as front:
        port = int(front.url.rpartition(":")[2])
        with (
            pytest.raises(UsageError, match=f"cannot listen on 127.0.0.1:{port}"),
            open_front(Settings(http=HttpSettings(port=port))),
        ):
            pass


def test_a_host_that_is_none_is_told_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object) -> None:
        raise gaierror(-2, "Name or service not known")

    monkeypatch.setattr("streamproc.telemetry.http.HttpServer", unknown)
    with (
        pytest.raises(UsageError, match=r"cannot listen on nowhere:9464: Name .* Set STREAMPROC_HTTP__HOST to"),
        open_front(Settings(http=HttpSettings(host="nowhere", port=9464))),
    ):
        pass


def test_it_brings_none_of_what_takes_long() -> None:
    """Otherwise nobody would hear anything in the seconds that they take."""
    program = "import sys, streamproc.entrance; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    heavy = {"av", "confluent_kafka", "fastavro", "minio", "numpy", "onnxruntime", "redis", "torch"}
    assert heavy & set(modules) == set()
