"""One object that drips among a hundred good ones, on real servers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streamproc.settings import Settings, StorageSettings
from tests.e2e.breakable import use_breakable
from tests.e2e.corpus import Corpus
from tests.e2e.oracle import Oracle
from tests.e2e.toxic import Toxic, toxic
from tests.e2e.workers import PATIENCE_S, Worker, until

PATIENCE_OF_ONE_S = 5
GOOD = 100


@pytest.fixture
def way(own: Settings) -> Iterator[Toxic]:
    with toxic(own.storage.endpoint) as way:
        yield way


@pytest.mark.timeout(4 * PATIENCE_S)
def test_an_object_that_drips_goes_to_a_lane_and_its_neighbours_are_committed(
    own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker, way: Toxic, tmp_path: Path
) -> None:
    worker.set("STREAMPROC_STORAGE__ENDPOINT", way.endpoint)
    worker.set("STREAMPROC_STORAGE__STRAGGLER_S", str(PATIENCE_OF_ONE_S))
    worker.set("STREAMPROC_FLOW__MICRO_BATCH_RECORDS", "512")
    planned = corpus.good(GOOD + 1, seed=3)
    slow = planned[GOOD // 2]
    way.dripping = {f"/{slow.clip}"}
    use_breakable(worker, tmp_path)()
    sent = [oracle.produce(one.value, b"call", partition=0) for one in planned]
    worker.start()
    until(lambda: oracle.position(own.kafka.group) == len(sent), PATIENCE_S, worker.tail)
    assert way.dripped
    lines = [line for line in worker.lines() if line.get("event") == "micro-batch committed"]
    moved = [line for line in lines if line["retries"]]
    assert sum(line["retries"] for line in moved) >= 1
    assert max(line["seconds"] for line in moved) < StorageSettings().object_timeout_s
    assert max(line["seconds"] for line in moved) >= PATIENCE_OF_ONE_S

    way.dripping = set()
    until(lambda: len(oracle.seen().outcomes(own.topics.recordings)) == len(sent), PATIENCE_S, worker.tail)
    rows = oracle.seen().results
    assert {place: [("result", "ok")] for place in sent} == oracle.seen().outcomes(own.topics.recordings)
    again = [row for row in rows if row["attempts"] != 1]
    assert {row["object_key"] for row in again} == {f"e2e/{slow.clip}"}
    assert worker.stop() == 0, worker.tail()
