"""Commands whose answer nobody reads to its end, as with ``| head -1``."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from streamproc.errors import ExitCode
from streamproc.records.record import TopicPartition as Place
from streamproc.settings import Settings
from tests.integration.planted import ANSWER_S, World, own_topics, plant


@pytest.fixture
def world(patient: Settings) -> Iterator[World]:
    with plant(own_topics(patient)) as world:
        yield world


def environment(settings: Settings) -> dict[str, str]:
    """What leads a command to these topics."""
    topics, kafka = settings.topics, settings.kafka
    names = {
        "KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "KAFKA__GROUP": kafka.group,
        "REGISTRY__URL": settings.registry.url,
        "TOPICS__RECORDINGS": topics.recordings,
        "TOPICS__RESULTS": topics.results,
        "TOPICS__SEGMENTS": topics.segments,
        "TOPICS__LEDGER": topics.ledger,
    }
    return os.environ | {f"STREAMPROC_{name}": value for name, value in names.items()}


def test_an_answer_that_is_not_read_is_no_failure(world: World) -> None:
    world.announce(2)
    world.commit(Place(world.input, 0), [(0, world.result(0, 0)), (1, world.dead(0, 1))])
    letter, told = f"{world.input}/0/1", environment(world.settings)
    answers = ["dlq ls", "dlq stats", f"dlq show {letter}", "dlq replay --dry-run", "audit", f"why {letter}"]
    commands = [one + how for one in answers for how in ("", " --json")]
    for command in commands:
        unread, stdout = os.pipe()
        os.close(unread)
        line = [sys.executable, "-m", "streamproc", *command.split()]
        done = subprocess.run(line, env=told, stdout=stdout, stderr=subprocess.PIPE, timeout=ANSWER_S, check=False)
        os.close(stdout)
        assert (command, done.returncode, b"Traceback" in done.stderr) == (command, ExitCode.DONE, False), done.stderr
