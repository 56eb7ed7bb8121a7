"""Recordings that kill whoever works on them, and workers that are killed for no reason at all."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from streamproc.records.mark import Mark
from streamproc.settings import Settings
from tests.e2e.corpus import Corpus, wav
from tests.e2e.crew import Crew
from tests.e2e.deadly import KILLS_DECODER, KILLS_WORKER
from tests.e2e.deadly_engine import DEADLY_SAMPLES
from tests.e2e.load import Load
from tests.e2e.oracle import Oracle
from tests.e2e.progress import Progress
from tests.e2e.workers import PATIENCE_S, Worker, until

GOOD = 500
KILLS = 30
ENGINE = "tests.e2e.deadly_engine:make"
ROOT = Path(__file__).parent.parent.parent
MOST_DEATHS = 10
"""Of a worker, for one recording: some until its partition goes one by one, then three."""


@pytest.fixture
def light(variables: dict[str, str]) -> dict[str, str]:
    """An analyzer that takes no time, so that workers are quickly there again."""
    return {
        **variables,
        "PYTHONPATH": str(ROOT),
        "STREAMPROC_MODEL__ENGINE": ENGINE,
        "STREAMPROC_REDIS__URL": "",  # nothing that one worker finished is known to the next
        "STREAMPROC_FLOW__MICRO_BATCH_RECORDS": "16",
        "STREAMPROC_RETRY__DELAYS_S": "[1, 60]",
    }


@pytest.fixture
def doomed(light: dict[str, str], tmp_path: Path) -> Iterator[Worker]:
    worker = Worker({**light, "STREAMPROC_KAFKA__SLOT": "0"}, tmp_path, ["tests.e2e.deadly"])
    yield worker
    worker.stop()


def killers(corpus: Corpus, number: int) -> dict[str, bytes]:
    """Events by whom their recordings kill."""
    noise = np.random.default_rng(number)
    bodies = {
        "prepare": wav(noise.uniform(-0.3, 0.3, 4_000)) + KILLS_DECODER,
        "infer": wav(noise.uniform(-0.3, 0.3, DEADLY_SAMPLES)),
        "admit": wav(noise.uniform(-0.3, 0.3, 4_000)) + KILLS_WORKER,
    }
    return {whom: corpus.event(corpus.put(f"{whom}-{number}.wav", body)) for whom, body in bodies.items()}


@pytest.mark.slow
@pytest.mark.timeout(4 * PATIENCE_S)
def test_what_kills_is_given_up_alone_and_among_good_ones_and_nobody_else_is(
    own: Settings, oracle: Oracle, corpus: Corpus, doomed: Worker
) -> None:
    noise = np.random.default_rng(1)
    events = [corpus.event(corpus.put(f"{n}.wav", wav(noise.uniform(-0.3, 0.3, 5_000)))) for n in range(GOOD)]
    ends: dict[tuple[int, int], str] = {}
    deaths = 0

    def send(event: bytes, end: str, partition: int = -1) -> None:
        ends[oracle.produce(event, b"call-%d" % len(ends), partition=partition)] = end

    def supervise() -> None:
        nonlocal deaths
        code = doomed.process.poll()
        if code is not None:
            assert code == -signal.SIGKILL, f"exit code {code}:\n{doomed.tail()}"
            deaths += 1
            doomed.start()

    def done() -> bool:
        if oracle.position(own.kafka.group) < len(ends):
            return False
        given_up = sum(1 for _ in oracle.read("dead"))  # what ends decoders goes to a lane first
        return given_up == sum(1 for end in ends.values() if end != "ok")

    among = killers(corpus, 0)
    for number, event in enumerate(events):
        send(event, "ok")
        if number % 150 == 100 and among:
            stage, deadly = among.popitem()
            send(deadly, stage)
    assert not among
    began = time.monotonic()
    doomed.start()
    until(done, 3 * PATIENCE_S, doomed.tail, supervise)
    print(f"among {GOOD}: {deaths} deaths, {time.monotonic() - began:.0f} s")  # noqa: T201  # shown with -rP
    assert 0 < deaths <= MOST_DEATHS
    began, before = time.monotonic(), deaths
    for stage, deadly in killers(corpus, 1).items():
        send(deadly, stage)
        until(done, 3 * PATIENCE_S, doomed.tail, supervise)
    print(f"alone: {deaths - before} deaths, {time.monotonic() - began:.0f} s")  # noqa: T201  # shown with -rP
    assert 0 < deaths - before <= MOST_DEATHS
    for partition in range(own.topics.partitions):
        send(events[partition], "ok", partition)
    until(done, PATIENCE_S, doomed.tail, supervise)
    assert doomed.stop() == 0, doomed.tail()
    assert oracle.marks(own.kafka.group) == {Mark().text()}, "a clean end lets go of what it opened"

    seen = oracle.seen()
    stages = [(headers["sp-stage"] or b"").decode() for _, _, headers in seen.dead]
    assert sorted(stages) == sorted(["admit", "infer", "prepare"] * 2)
    expected = {
        place: [("result", "ok") if end == "ok" else ("dead_letter", "killed_worker")] for place, end in ends.items()
    }
    assert seen.outcomes(own.topics.recordings) == expected
    assert seen.covered(own.topics.recordings) == Counter(ends.keys())


@pytest.fixture
def crew(light: dict[str, str], tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(light, tmp_path)
    yield crew
    crew.close()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_workers_that_are_killed_at_random_cost_no_record_its_result(
    own: Settings, oracle: Oracle, corpus: Corpus, crew: Crew
) -> None:
    draw = random.Random(6)
    for _ in range(3):
        crew.join()
    crew.settle()
    ends = dict.fromkeys(range(own.topics.partitions), 0)
    progress = Progress(lambda: oracle.positions(own.kafka.group), ends)
    load = Load(oracle, corpus, 32, ends, progress.committed)
    load.start()
    progress.start()
    for _ in range(KILLS):
        crew.leave(draw.choice(crew.there), kill=True)
        crew.join()
        time.sleep(draw.uniform(0, 6))  # at any moment of any of them: starting, joining, working
    load.stop()
    until(lambda: oracle.positions(own.kafka.group) == ends, PATIENCE_S, lambda: "not all is committed", crew.check)
    progress.stop()
    crew.stop()

    seen = oracle.seen()
    places = {(partition, offset) for partition, end in ends.items() for offset in range(end)}
    careful = [line for worker in crew.left for line in worker.lines() if line["event"].startswith("former owners")]
    print(f"{len(places)} records, {KILLS} kills, {len(careful)} partitions went one by one")  # noqa: T201  # shown with -rP
    assert seen.outcomes(own.topics.recordings) == {place: [("result", "ok")] for place in places}
    assert seen.covered(own.topics.recordings) == Counter(places)
