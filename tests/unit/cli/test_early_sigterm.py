"""A service that is told to stop while it starts ends as a stop does, at whatever moment that is."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from streamproc.cli import SERVICES, end_at_once_by_sigterm
from tests.caught import await_caught
from tests.unit.kafka.mock_cluster import mock_cluster

ROOT = Path(__file__).parents[3]
NOWHERE = "127.0.0.1:1"
MOMENTS_S = (0.03, 0.05, 0.08, 0.12, 0.18, 0.26, 0.38, 0.55, 0.8, 1.1, 1.5, 2.0)
"""After the start. The interpreter's own first milliseconds cannot be ours: no moment is before SIGTERM is caught."""
WAITING = {
    "STREAMPROC_KAFKA__BOOTSTRAP_SERVERS": NOWHERE,
    "STREAMPROC_REGISTRY__URL": f"http://{NOWHERE}",
    "STREAMPROC_CONNECT__URL": f"http://{NOWHERE}",
    "STREAMPROC_CONNECT__REGISTRY_URL": f"http://{NOWHERE}",
}
"""All services go on with these, and find nobody."""


@contextmanager
def started(words: list[str], folder: Path, variables: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    ours = {
        "PYTHONPATH": str(ROOT),
        "STREAMPROC_HTTP__PORT": "0",
        "STREAMPROC_ANALYTICS__PORT": "0",
        "STREAMPROC_KAFKA__SLOT": "0",
        "STREAMPROC_LOCAL__STATE_DIR": str(folder),
    }
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, *words], stderr=said, cwd=folder, env={**os.environ, **ours, **variables}
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def stopped_at(
    moment_s: float, words: list[str], folder: Path, variables: Mapping[str, str], *, imported: bool = False
) -> tuple[int, str]:
    """Its exit code, and what it said. ``imported``: what has imported all before it is a service begins then."""
    since = time.monotonic()
    with started(words, folder, variables) as process:
        await_caught(process, signal.SIGTERM)
        since = time.monotonic() if imported else since
        time.sleep(max(0.0, since + moment_s - time.monotonic()))
        process.terminate()
        return process.wait(60), (folder / "said").read_text()


@pytest.mark.parametrize("moment_s", MOMENTS_S)
def test_a_worker_that_is_told_to_stop_while_it_starts_ends_with_0(moment_s: float, tmp_path: Path) -> None:
    code, said = stopped_at(moment_s, ["-m", "streamproc", "worker"], tmp_path, WAITING)
    assert code == 0, said
    assert "Traceback" not in said


@pytest.mark.parametrize("moment_s", MOMENTS_S[::2])
def test_a_worker_that_is_told_to_stop_while_it_begins_to_work_ends_with_0(moment_s: float, tmp_path: Path) -> None:
    """On fakes of all but Kafka, it is at work soon."""
    with mock_cluster() as cluster:
        cluster.create_topic("audio.recordings")
        variables = {"STREAMPROC_KAFKA__BOOTSTRAP_SERVERS": cluster.bootstrap_servers}
        code, said = stopped_at(moment_s, ["-m", "tests.unit.cli.worker_on_fakes"], tmp_path, variables, imported=True)
    assert code == 0, said
    assert "Traceback" not in said


@pytest.mark.parametrize("words", SERVICES[1:], ids=" ".join)
@pytest.mark.parametrize("moment_s", MOMENTS_S[::3])
def test_so_do_the_other_services(moment_s: float, words: list[str], tmp_path: Path) -> None:
    code, said = stopped_at(moment_s, ["-m", "streamproc", *words], tmp_path, WAITING)
    assert code == 0, said
    assert "Traceback" not in said


TOLD = """
import os, signal, sys
from streamproc.cli import main

class Told:
    def find_spec(self, name, path, target=None):
        if name == os.environ["TOLD_AT"]:
            os.write(2, b"told")
            signal.raise_signal(signal.SIGTERM)

sys.meta_path.insert(0, Told())
main()
"""
"""Is told to stop as it begins to read one of its own modules."""


@pytest.mark.parametrize(
    ("words", "module"),
    [
        (["worker"], "streamproc.doorstep"),
        (["--debug", "worker"], "streamproc.cli.app"),
        (["worker"], "streamproc.entrance"),
        (["worker"], "streamproc.wiring"),
        (["worker"], "confluent_kafka"),
        (["analytics"], "streamproc.cli.app"),
        (["analytics"], "faust"),
        (["connect", "watch"], "streamproc.cli.app"),
        (["connect", "watch"], "streamproc.wiring"),
    ],
)
def test_whatever_code_is_being_read_it_ends_at_once_and_quietly(words: list[str], module: str, tmp_path: Path) -> None:
    with started(["-c", TOLD, *words], tmp_path, {**WAITING, "TOLD_AT": module}) as process:
        assert process.wait(60) == 0
    assert (tmp_path / "said").read_text() == "told"


@pytest.mark.parametrize("words", [["status"], ["analytics", "rebuild"], ["worker", "--help"], []])
def test_commands_end_by_sigterm_as_ever(words: list[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    end_at_once_by_sigterm(words)
    assert signal.getsignal(signal.SIGTERM) is before
