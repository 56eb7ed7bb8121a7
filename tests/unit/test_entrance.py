import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from socket import gaierror

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


def test_a_worker_answers_before_most_of_its_code_is_read(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = {
        "PYTHONPATH": str(ROOT),
        "STREAMPROC_HTTP__PORT": str(port),
        "STREAMPROC_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }
    process = psutil.Popen(
        [sys.executable, "-m", "streamproc", "worker"],
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        env=os.environ | variables,
    )
    try:
        until = time.monotonic() + 60
        while (status := answer(f"http://127.0.0.1:{port}/status")) is None:
            assert time.monotonic() < until
            time.sleep(0.01)
        used = process.cpu_times()
    finally:
        process.kill()
        process.wait()
    assert status["waits_for"] == "its own code to be read"
    assert used.user + used.system < 1.5  # 0.34 s; all of the code takes some seconds


def answer(url: str) -> dict[str, object] | None:
    try:
        with urllib.request.urlopen(url) as said:  # noqa: S310  # our own address
            found: dict[str, object] = json.load(said)
            return found
    except OSError:
        return None


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
