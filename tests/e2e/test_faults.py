import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from streamproc.local.stack import Stack, down, up
from streamproc.settings import Settings
from tests.conftest import nothing_more
from tests.e2e.corpus import Corpus
from tests.e2e.flow import ROUND, Flow
from tests.e2e.oracle import Oracle
from tests.e2e.workers import PATIENCE_S, Worker, tell, until

pytestmark = pytest.mark.timeout(4 * PATIENCE_S)

OUTAGE_S = 25


@pytest.fixture
def flow(own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker) -> Flow:
    flow = Flow(own, oracle, corpus, worker)
    worker.start()
    flow.send()
    flow.arrives()
    return flow


@contextmanager
def without(stack: Stack, server: str) -> Iterator[None]:
    down(stack.settings, tell, only=[server])
    try:
        yield
    finally:
        up(stack.settings, tell, nothing_more)


def child(worker: Worker, module: str) -> psutil.Process:
    return next(p for p in psutil.Process(worker.process.pid).children() if module in p.cmdline())


def test_without_redis_results_still_flow(stack: Stack, flow: Flow, worker: Worker) -> None:
    with without(stack, "redis"):
        flow.send()
        flow.arrives()
        assert 'streamproc_dependency_down{dependency="redis"} 1.0' in worker.ask("/metrics")
    flow.send()
    flow.arrives()


def test_without_the_registry_known_schemas_still_work(stack: Stack, flow: Flow) -> None:
    with without(stack, "registry"):
        flow.send()
        until(lambda: flow.position() == len(flow.sent), PATIENCE_S, lambda: "known ids wait for the registry")
    flow.arrives()


def test_without_the_store_the_worker_waits_and_goes_on(stack: Stack, flow: Flow, worker: Worker) -> None:
    with without(stack, "minio"):
        flow.send()
        until(lambda: "store is down, waiting" in worker.log.read_text(), PATIENCE_S, worker.tail)
        flow.stands_still()
    flow.arrives()
    assert "store is back" in worker.log.read_text()


def test_an_outage_of_the_store_under_load_spends_no_attempts(
    stack: Stack, flow: Flow, oracle: Oracle, worker: Worker
) -> None:
    with without(stack, "minio"):
        ends = time.monotonic() + OUTAGE_S
        while time.monotonic() < ends:
            flow.send(1)
            time.sleep(0.5)
        assert "store is down, waiting" in worker.log.read_text()
        flow.stands_still()
    flow.arrives()
    seen = oracle.seen()
    assert seen.dead == []
    assert {row["attempts"] for row in seen.results} == {1}


def test_without_the_broker_the_worker_waits_and_goes_on(stack: Stack, flow: Flow, worker: Worker) -> None:
    with without(stack, "kafka"):
        missed = 'streamproc_dependency_down{dependency="kafka"} 1.0'
        until(lambda: missed in worker.ask("/metrics"), PATIENCE_S, worker.tail)
    flow.send()
    flow.arrives()
    # One of its connections may have been refused once more since; it finds out by asking.
    until(lambda: missed not in worker.ask("/metrics"), PATIENCE_S, worker.tail)


@pytest.mark.parametrize("module", ["streamproc.emotion.device_main", "streamproc.audio.child"])
def test_a_killed_child_is_replaced_and_nothing_is_lost(flow: Flow, worker: Worker, module: str) -> None:
    before = child(worker, module)
    flow.send(2 * ROUND)
    before.send_signal(signal.SIGKILL)
    until(lambda: child_pid(worker, module) not in {None, before.pid}, PATIENCE_S, worker.tail)
    flow.send()
    flow.arrives()
    assert os.getpgid(worker.process.pid)


def child_pid(worker: Worker, module: str) -> int | None:
    try:
        return child(worker, module).pid
    except (StopIteration, psutil.NoSuchProcess):
        return None


def test_a_worker_that_is_told_to_stop_drains_and_leaves_nothing_running(flow: Flow, worker: Worker) -> None:
    family = [worker.process.pid, *(p.pid for p in psutil.Process(worker.process.pid).children(recursive=True))]
    flow.send()
    assert worker.stop() == 0, worker.tail()
    until(lambda: not any(map(psutil.pid_exists, family)), PATIENCE_S, lambda: f"of {family} some still run")
    worker.start()
    flow.arrives()
