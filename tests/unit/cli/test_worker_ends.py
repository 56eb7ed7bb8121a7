"""How the worker's process ends when Kafka refuses it, on librdkafka's mock broker."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.unit.kafka.mock_cluster import (
    END_TXN,
    GROUP_HEARTBEAT,
    INIT_PRODUCER_ID,
    PRODUCE,
    TXN_OFFSET_COMMIT,
    MockCluster,
    mock_cluster,
)

ROOT = Path(__file__).parents[3]
IN = "audio.recordings"


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with mock_cluster() as cluster:
        cluster.create_topic(IN)
        producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
        producer.produce(IN, b"no event")  # becomes a dead letter, which asks nothing of anybody but Kafka
        assert producer.flush(60) == 0
        yield cluster


@pytest.fixture
def run(cluster: MockCluster, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    def run(delivery: str = "exactly_once", group: str = "g") -> tuple[int, str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "STREAMPROC_KAFKA__BOOTSTRAP_SERVERS": cluster.bootstrap_servers,
            "STREAMPROC_KAFKA__DELIVERY": delivery,
            "STREAMPROC_KAFKA__GROUP": group,
            "STREAMPROC_KAFKA__SLOT": "0",
            "STREAMPROC_HTTP__PORT": "0",
            "STREAMPROC_LOCAL__STATE_DIR": str(tmp_path),
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.unit.cli.worker_on_fakes"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stderr.splitlines()[-1]

    return run


@pytest.mark.parametrize(
    ("delivery", "answers", "says"),
    [
        pytest.param("exactly_once", {INIT_PRODUCER_ID: 53}, "TRANSACTIONAL_ID_AUTH", id="the id is not allowed"),
        pytest.param("exactly_once", {PRODUCE: 29}, "TOPIC_AUTHORIZATION_FAILED", id="an output is not allowed"),
        pytest.param("exactly_once", {END_TXN: 48}, "INVALID_TXN_STATE", id="the end of a transaction is refused"),
        pytest.param("exactly_once", {END_TXN: 135}, "not in our table", id="an error that nobody knows"),
        pytest.param(
            "exactly_once", {TXN_OFFSET_COMMIT: 22, END_TXN: 53}, "could not be aborted", id="an abort is refused"
        ),
        pytest.param("exactly_once", {GROUP_HEARTBEAT: 30}, "the consumer cannot go on", id="the group is not allowed"),
        pytest.param("at_least_once", {PRODUCE: 29}, "TOPIC_AUTHORIZATION_FAILED", id="the same, at least once"),
    ],
)
def test_a_fatal_error_is_exit_code_4(
    cluster: MockCluster, run: Callable[..., tuple[int, str]], delivery: str, answers: dict[int, int], says: str
) -> None:
    for api, code in answers.items():
        cluster.answer(api, code)
    code, last = run(delivery)
    assert (code, says in last) == (4, True), last
    assert '"error": "FatalError"' in last
    assert f'"cause": "{"unforeseen" if "table" in says else "refused"}"' in last


def test_fenced_twice_in_a_row_is_exit_code_5(cluster: MockCluster, run: Callable[..., tuple[int, str]]) -> None:
    cluster.answer(END_TXN, 90)
    code, last = run()
    assert (code, '"error": "FencedError"' in last) == (4, True), last
    assert '"cause": "fenced"' in last
    cluster.answer(END_TXN, 90)
    code, last = run(group="another")  # the first one waits for its dead member; the slot is the same
    assert (code, '"error": "NoRestartError"' in last) == (5, True), last
