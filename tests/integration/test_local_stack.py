"""Up and down with the real servers: nothing is lost, nothing is left."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from streamproc.local.stack import Stack, down, status, up
from streamproc.settings import Settings, users_settings
from tests.programs import kill

INTERRUPTED = """
import sys
from pathlib import Path
from streamproc.local.stack import up
from streamproc.settings import users_settings

settings = users_settings()
settings = settings.model_copy(update={"local": settings.local.model_copy(update={"state_dir": Path(sys.argv[1])})})
print("begins", flush=True)
up(settings, lambda server, text: print(server, text, flush=True), lambda settings: None)
"""


def unheard(_server: str, _text: str) -> None:
    """Progress."""


def nothing(_settings: Settings) -> None:
    """Preparation."""


def in_folder(folder: Path) -> Settings:
    return Settings(local=users_settings().local.model_copy(update={"state_dir": folder}))


@pytest.fixture(scope="module")
def settings(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """For servers of this module's own, beside those of the session; their programs are known to be there."""
    assert stack.servers
    settings = in_folder(tmp_path_factory.mktemp("own-servers"))
    yield settings
    down(settings, unheard)


@pytest.fixture
def running(settings: Settings) -> Stack:
    return up(settings, unheard, nothing)


def pids(stack: Stack) -> dict[str, int]:
    return {server.name: server.pid for server in stack.servers if server.pid}


def register(settings: Settings, subject: str) -> int:
    request = urllib.request.Request(  # noqa: S310  # an address of our own server
        f"{settings.registry.url}/subjects/{subject}/versions",
        json.dumps({"schema": json.dumps({"type": "record", "name": subject, "fields": []})}).encode(),
        {"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # the same
        number = json.load(answer)["id"]
    assert isinstance(number, int)
    return number


def test_two_stacks_live_side_by_side(running: Stack, stack: Stack) -> None:
    assert not pids(running).items() & pids(stack).items()


def test_up_again_keeps_every_server(running: Stack) -> None:
    again = up(running.settings, unheard, nothing)
    assert again.started == frozenset()
    assert pids(again) == pids(running)


@pytest.mark.parametrize("victim", ["kafka", "registry", "redis", "minio"])
def test_up_brings_back_just_the_server_that_was_killed(running: Stack, victim: str) -> None:
    kill(pids(running)[victim])
    again = up(running.settings, unheard, nothing)
    assert again.started == {victim}
    assert again.settings == running.settings
    assert {name for name, pid in pids(again).items() if pid != pids(running)[name]} == {victim}


def test_schema_ids_survive_a_killed_registry(running: Stack) -> None:
    subject = f"s{uuid.uuid4().hex}"
    number = register(running.settings, subject)
    kill(pids(running)["registry"])
    again = up(running.settings, unheard, nothing)
    assert register(again.settings, subject) == number
    assert register(again.settings, f"s{uuid.uuid4().hex}") != number


def test_down_leaves_no_process_and_up_finds_the_data(running: Stack) -> None:
    subject = f"s{uuid.uuid4().hex}"
    number = register(running.settings, subject)
    family = [
        process
        for pid in pids(running).values()
        for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))
    ]
    assert sorted(down(running.settings, unheard)) == ["kafka", "minio", "redis", "registry"]
    assert not any(process.is_running() for process in family)
    again = up(running.settings, unheard, nothing)
    assert register(again.settings, subject) == number


def test_an_interrupted_up_leaves_nothing_running(settings: Settings, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if b"redis ready" in line:  # the others are on their way
                break
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=120)
    assert process.returncode == -signal.SIGINT
    assert {server.state for server in status(in_folder(tmp_path))} == {"stopped"}
    assert settings.local.state_dir != tmp_path
