"""A broker that takes connections and answers nothing: the client sees no trouble, and the worker says it waits."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from streamproc.local.stack import Stack, status
from streamproc.settings import Settings
from tests.e2e.corpus import Corpus
from tests.e2e.flow import Flow
from tests.e2e.oracle import Oracle
from tests.e2e.workers import PATIENCE_S, Worker, until


@pytest.fixture
def flow(own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker) -> Flow:
    worker.start()
    return Flow(own, oracle, corpus, worker)


@contextmanager
def silent(stack: Stack, name: str) -> Iterator[None]:
    (pid,) = (server.pid for server in status(stack.settings) if server.name == name)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def state(worker: Worker) -> str:
    return str(json.loads(worker.ask("/status"))["state"])


def test_a_worker_with_nothing_to_do_says_that_its_broker_is_silent(stack: Stack, flow: Flow, worker: Worker) -> None:
    flow.send()
    flow.arrives()
    until(lambda: state(worker) == "working", PATIENCE_S, worker.tail)
    with silent(stack, "kafka"):
        until(lambda: state(worker) == "waiting for the broker", PATIENCE_S, worker.tail)
        shown = worker.ask("/metrics").splitlines()
        assert 'streamproc_dependency_down{dependency="kafka"} 1.0' in shown
        assert "streamproc_ready 0.0" in shown
    until(lambda: state(worker) == "working", PATIENCE_S, worker.tail)
    flow.send()
    flow.arrives()
