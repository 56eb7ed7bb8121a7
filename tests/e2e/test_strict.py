"""Strict order on real servers: an object that is stored late, and what stands behind its event."""

import time

import pytest

from streamproc.settings import Settings
from tests.e2e.corpus import Corpus, tone, wav
from tests.e2e.oracle import Oracle
from tests.e2e.workers import PATIENCE_S, Worker, until

BEHIND = 10


@pytest.mark.timeout(3 * PATIENCE_S)
def test_results_of_a_key_keep_the_order_of_their_events_while_one_is_tried_again_in_place(
    own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker
) -> None:
    worker.set("STREAMPROC_RETRY__ORDER", "strict")
    worker.set("STREAMPROC_RETRY__DELAYS_S", "[1, 5]")
    late = f"late-{own.kafka.group}.wav"
    good = corpus.put("good.wav", wav(tone(1)))
    events = [corpus.event(good) for _ in range(BEHIND)]
    sent = [oracle.produce(value, b"call") for value in [events[0], corpus.event(f"e2e/{late}"), *events[1:]]]
    worker.start()
    until(lambda: "partitions assigned" in worker.log.read_text(), PATIENCE_S, worker.tail)
    time.sleep(4)  # longer than the first two waits
    assert oracle.position(own.kafka.group) <= 1
    corpus.put(late, wav(tone(2)))
    until(lambda: oracle.position(own.kafka.group) == len(sent), PATIENCE_S, worker.tail)
    rows = oracle.seen().results
    assert [(row["input_partition"], row["input_offset"]) for row in rows] == sent
    assert [row["attempts"] for row in rows if row["object_key"] != f"e2e/{late}"] == [1] * BEHIND
    [row] = [row for row in rows if row["object_key"] == f"e2e/{late}"]
    assert int(str(row["attempts"])) >= 2
    assert worker.stop() == 0, worker.tail()
