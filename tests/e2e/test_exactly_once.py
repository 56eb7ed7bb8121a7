import json
import random
import time
from collections import Counter
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from streamproc.local.stack import Stack, down, up
from streamproc.settings import Settings
from tests.conftest import nothing_more
from tests.e2e.corpus import HELD_OUT, HOUR_MS, SHOWN, Corpus, Planned
from tests.e2e.oracle import Oracle, Seen
from tests.e2e.reference import decode, reference_scores
from tests.e2e.workers import PATIENCE_S, Worker, tell, until

SEED = 20
EVENTS = 200
LABELS = ("angry", "disgusted", "fearful", "happy", "neutral", "other", "sad", "surprised", "unknown")


def plan(corpus: Corpus) -> list[Planned]:
    """Exactly 200 events, shuffled: every bad kind, silence and blip, the rest good ones with repeats."""
    others = [*corpus.bad(), *corpus.quiet()]
    planned = others + corpus.good(EVENTS - len(others), SEED)
    random.Random(SEED).shuffle(planned)
    assert len(planned) == EVENTS
    return planned


def produce(oracle: Oracle, planned: list[Planned], placed: dict[tuple[int, int], Planned]) -> None:
    for one in planned:
        timestamp = int(time.time() * 1000) - HOUR_MS if one.old else 0
        key = f"call-{len(placed) % 11}".encode()
        placed[oracle.produce(one.value, key, one.headers, timestamp)] = replace(one, key=key)


@pytest.mark.slow
@pytest.mark.timeout(6 * PATIENCE_S)
def test_two_kills_inside_a_transaction_and_a_broker_restart_leave_one_outcome_per_offset(
    stack: Stack, own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker
) -> None:
    planned = plan(corpus)
    placed: dict[tuple[int, int], Planned] = {}

    produce(oracle, planned[:120], placed)
    committed = 0
    for kill in (1, 2):
        worker.start()
        until(lambda: oracle.position(own.kafka.group) > committed, PATIENCE_S, worker.tail, worker.supervise)  # noqa: B023  # used at once
        worker.kill_in_a_transaction(oracle.transaction_is_open)
        committed = oracle.position(own.kafka.group)
        assert committed < 120, f"kill {kill} came after the work was done"
    worker.start()
    produce(oracle, planned[120:160], placed)
    down(stack.settings, tell, only=["kafka"])
    up(stack.settings, tell, nothing_more)
    produce(oracle, planned[160:], placed)
    until(lambda: oracle.position(own.kafka.group) == EVENTS, PATIENCE_S, worker.tail, worker.supervise)
    assert worker.stop() == 0, worker.tail()

    seen = oracle.seen()
    outcomes = seen.outcomes(own.topics.recordings)
    wrong = {
        place: (one.end, outcomes.get(place))
        for place, one in placed.items()
        if [":".join(end) for end in outcomes.get(place, ())] != [one.end]
    }
    assert not wrong
    assert outcomes.keys() == placed.keys()
    assert_dead_letters_are_the_originals(seen, placed)
    assert_ledger_counts(seen, own.topics.recordings, placed)
    assert_equal_to_the_reference(seen, placed)
    assert_same_event_same_result(seen, placed)


def assert_dead_letters_are_the_originals(seen: Seen, placed: dict[tuple[int, int], Planned]) -> None:
    for key, value, headers in seen.dead:
        one = placed[int(headers["sp-origin-partition"] or b""), int(headers["sp-origin-offset"] or b"")]
        assert (key, value) == (one.key, one.value)
        assert {name: headers[name] for name, _ in one.headers} == dict(one.headers)


def assert_ledger_counts(seen: Seen, topic: str, placed: dict[tuple[int, int], Planned]) -> None:
    """The ledger covers each partition without hole or overlap."""
    rows = [row for row in seen.ledger if row["input_topic"] == topic]
    assert seen.covered(topic) == Counter(placed.keys())
    counts = Counter(one.end.partition(":")[0] for one in placed.values())
    assert sum(int(str(row["results"])) for row in rows) == counts["result"]
    assert sum(int(str(row["dead_letters"])) for row in rows) == counts["dead_letter"]


def assert_equal_to_the_reference(seen: Seen, placed: dict[tuple[int, int], Planned]) -> None:
    """Each result equals what FunASR says of that clip alone; the labels reach the accuracy that is recorded."""
    names = sorted({one.clip for one in placed.values() if one.clip})
    expected = reference_scores({name: decode(path_of(name)) for name in names})
    right: dict[str, bool] = {}
    worst = 0.0
    for row in seen.results:
        one = placed[int(str(row["input_partition"])), int(str(row["input_offset"]))]
        if one.clip:
            got = np.array([row[f"score_{label}"] for label in LABELS], float)
            worst = max(worst, float(np.abs(got - expected[one.clip]).max()))
        if one.label:
            right[one.clip] = row["label"] == one.label
    assert worst <= 1e-4
    recorded = json.loads((files("streamproc.emotion") / "checkpoints" / "demo" / "accuracy.json").read_text())
    assert (len(right), sum(right.values())) == (recorded["shipped"]["clips"], recorded["shipped"]["right"])
    print(f"largest score difference to FunASR {worst:.1e} over {len(names)} clips")  # noqa: T201  # shown with -rP


def path_of(name: str) -> Path:
    held_out = HELD_OUT / name
    return held_out if held_out.exists() else SHOWN / name


def assert_same_event_same_result(seen: Seen, placed: dict[tuple[int, int], Planned]) -> None:
    by_event: dict[str, set[str]] = {}
    for row in seen.results:
        by_event.setdefault(str(row["event_id"]), set()).add(str(row["result_id"]))
    assert all(len(ids) == 1 for ids in by_event.values())
    repeated = Counter(one.event_id for one in placed.values() if one.event_id)
    assert max(repeated.values()) > 1, "no event was sent twice"
