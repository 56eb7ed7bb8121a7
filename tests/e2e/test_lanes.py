"""Lanes on real servers: nobody waits behind a longer delay, and the input flows meanwhile."""

import pytest

from streamproc.settings import Settings
from tests.e2e.corpus import Corpus, tone, wav
from tests.e2e.oracle import Oracle
from tests.e2e.workers import PATIENCE_S, Worker, until

SOON_S, LATER_S = 5, 60


@pytest.mark.timeout(4 * PATIENCE_S)
def test_nobody_waits_behind_a_longer_delay(own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker) -> None:
    worker.set("STREAMPROC_RETRY__DELAYS_S", f"[{SOON_S}, {LATER_S}]")
    worker.set("STREAMPROC_RETRY__ATTEMPTS_PER_LANE", "1")
    worker.set("STREAMPROC_STORAGE__YOUNG_S", "3600")
    names = {what: f"{what}-{own.kafka.group}.wav" for what in ("latest", "late")}
    good = corpus.put("good.wav", wav(tone(1)))

    def done(what: str) -> bool:
        return any(row["event_id"] == what for row in oracle.seen().results)

    def count(lane: str) -> int:
        return sum(1 for _ in oracle.read(lane))

    worker.start()
    # One partition and one key: on the lanes all of them stand in line.
    oracle.produce(corpus.event(f"e2e/{names['latest']}", event_id="latest"), b"call", partition=0)
    until(lambda: count("later") == 1, PATIENCE_S, worker.tail)
    corpus.put(names["latest"], wav(tone(1)))
    oracle.produce(corpus.event(f"e2e/{names['late']}", event_id="late"), b"call", partition=0)
    until(lambda: count("soon") == 2, PATIENCE_S, worker.tail)
    corpus.put(names["late"], wav(tone(1)))
    oracle.produce(corpus.event(good, event_id="fresh"), b"call", partition=0)
    until(lambda: done("fresh"), PATIENCE_S, worker.tail)
    until(lambda: done("late"), PATIENCE_S, worker.tail)
    assert not done("latest")
    until(lambda: done("latest"), PATIENCE_S, worker.tail)
    rows = {str(row["event_id"]): row for row in oracle.seen().results}
    assert {name: row["attempts"] for name, row in rows.items()} == {"latest": 3, "late": 2, "fresh": 1}
    assert worker.stop() == 0, worker.tail()
