"""A real worker that is stuck ends and says where; one that waits honestly does not."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamproc.local.stack import Stack
from tests.e2e.corpus import Corpus, tone, wav
from tests.e2e.hanging import HANGS
from tests.e2e.oracle import Oracle
from tests.e2e.test_faults import without
from tests.e2e.workers import PATIENCE_S, Worker, until

ROOT = Path(__file__).parent.parent.parent
STUCK_S = 6
"""Short, so that the test is; no step of a loop takes so long, on any machine."""


@pytest.fixture
def hanging(variables: dict[str, str], tmp_path: Path) -> Iterator[Worker]:
    settings = {
        "PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}",
        "STREAMPROC_KAFKA__SLOT": "0",
        "STREAMPROC_MODEL__ENGINE": "tests.e2e.deadly_engine:make",
        "STREAMPROC_WORKER__STUCK_S": str(STUCK_S),
        "STREAMPROC_STORAGE__OBJECT_TIMEOUT_S": "2",
    }
    worker = Worker({**variables, **settings}, tmp_path, ["tests.e2e.hanging"])
    yield worker
    worker.stop()


def works(worker: Worker) -> bool:
    return '"state": "working"' in worker.ask("/status")


def test_a_call_that_hangs_ends_the_worker_with_the_stacks(
    oracle: Oracle, corpus: Corpus, hanging: Worker, stack: Stack
) -> None:
    hanging.start()
    until(lambda: bool(hanging.lines()) and works(hanging), PATIENCE_S, hanging.tail)
    os.kill(hanging.process.pid, signal.SIGSTOP)  # as long as that would be stuck
    time.sleep(1.5 * STUCK_S)
    os.kill(hanging.process.pid, signal.SIGCONT)
    with without(stack, "minio"):
        oracle.produce(corpus.event("e2e/later.wav"), b"k")
        until(lambda: "waiting for the store" in hanging.ask("/status"), PATIENCE_S, hanging.tail)
        time.sleep(2 * STUCK_S)
        assert '"ok": true' in hanging.ask("/healthz")
    corpus.put("later.wav", wav(tone(1)))
    until(lambda: len(oracle.seen().results) == 1, PATIENCE_S, hanging.tail)

    oracle.produce(corpus.event(f"e2e/{HANGS}.wav"), b"k")
    assert hanging.process.wait(PATIENCE_S) == 4
    log = hanging.log.read_text()
    (told,) = [line for line in hanging.lines() if line.get("cause") == "stuck"]
    assert told["detail"].startswith("io-")
    assert "fetch" in told["detail"]
    assert "in get" in log
    assert "hanging.py" in log
    assert log.lower().count("thread 0x") > 10
