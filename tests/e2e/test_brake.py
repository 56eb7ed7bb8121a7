"""The brake on real servers: a producer that breaks its events, and a deployment that breaks every recording."""

import json
import subprocess
import sys
import time
import urllib.error
from pathlib import Path
from typing import Any

import pytest

from streamproc.settings import BrakeSettings, FlowSettings, Settings
from tests.e2e.breakable import use_breakable
from tests.e2e.corpus import Corpus
from tests.e2e.flow import Flow
from tests.e2e.oracle import Oracle
from tests.e2e.workers import PATIENCE_S, Worker, until

pytestmark = pytest.mark.timeout(4 * PATIENCE_S)

BURST = 300
MICRO_BATCH = 4
"""As the fixture of the worker sets it."""
MOST = BrakeSettings().in_a_row + FlowSettings().micro_batches * MICRO_BATCH
"""Dead letters until the brake is on, and of what is in flight then."""


def ready(worker: Worker) -> tuple[bool, Any]:
    """Whether it says that it is ready, and what it says beside."""
    try:
        return True, json.loads(worker.ask("/readyz"))
    except urllib.error.HTTPError as error:
        return False, json.loads(error.read())


def held(worker: Worker, times: int = 1) -> bool:
    try:
        said = ready(worker)[1].get("brake") or {}
    except OSError:  # it does not listen yet
        return False
    return bool(said.get("on")) and said["times"] == times


def stands_still(own: Settings, oracle: Oracle, seconds: float = 3) -> int:
    """How many dead letters there are, once nothing was committed for a while."""
    before = -1
    while before != (now := oracle.position(own.kafka.group)):
        before = now
        time.sleep(seconds)
    return len(oracle.seen().dead)


def command(worker: Worker, *words: str) -> str:
    """What `streamproc brake ...` says of this worker."""
    [url] = [line["url"] for line in worker.lines() if line.get("event") == "worker starts"]
    address = url.removeprefix("http://")
    done = subprocess.run(
        [sys.executable, "-m", "streamproc", "brake", *words, "--worker", address],
        capture_output=True,
        check=True,
        timeout=PATIENCE_S,
    )
    return done.stdout.decode()


def test_a_burst_of_bad_events_is_held_and_passed_once_good_ones_follow(
    own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker
) -> None:
    flow = Flow(own, oracle, corpus, worker)
    worker.start()
    flow.send()
    flow.arrives()
    note = corpus.event(corpus.put("note.wav", b"just a note\n" * 50))
    bad = {oracle.produce(note, b"broken-%d" % (number % 3)) for number in range(BURST)}
    until(lambda: held(worker), PATIENCE_S, worker.tail)
    assert 0 < stands_still(own, oracle) <= MOST
    well, said = ready(worker)
    assert (well, said["state"]) == (False, "holding")
    assert "became dead letters" in said["brake"]["why"]
    assert json.loads(worker.ask("/healthz"))["ok"]
    assert "streamproc_brake_on 1.0" in worker.ask("/metrics")
    assert " on since " in command(worker)

    flow.send()
    until(lambda: flow.position() == len(flow.sent) + BURST, PATIENCE_S, worker.tail)
    outcomes = oracle.seen().outcomes(own.topics.recordings)
    assert outcomes == {place: [("result", "ok")] for place in flow.sent} | {
        place: [("dead_letter", "format_unsupported")] for place in bad
    }
    until(lambda: ready(worker)[0], PATIENCE_S, worker.tail)
    assert worker.stop() == 0, worker.tail()


def test_a_bad_deployment_drains_nothing_and_is_released_by_command_or_once_it_is_mended(
    own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker, tmp_path: Path
) -> None:
    mend = use_breakable(worker, tmp_path)
    planned = corpus.good(40, seed=2)
    sent = {oracle.produce(planned[n % 40].value, b"call-%d" % (n % 5)) for n in range(BURST)}
    worker.start()
    until(lambda: held(worker), PATIENCE_S, worker.tail)
    assert 0 < stands_still(own, oracle) <= MOST
    assert worker.process.poll() is None

    assert "released" in command(worker, "release")
    until(lambda: held(worker, times=2), PATIENCE_S, worker.tail)
    assert stands_still(own, oracle) <= 2 * MOST

    mend()
    until(lambda: oracle.position(own.kafka.group) == BURST, PATIENCE_S, worker.tail)
    outcomes = oracle.seen().outcomes(own.topics.recordings)
    assert outcomes.keys() == sent
    kinds = [kind for ends in outcomes.values() for kind, _ in ends]
    assert len(kinds) == BURST
    assert kinds.count("dead_letter") <= 2 * MOST
    assert ready(worker)[0]
    assert worker.stop() == 0, worker.tail()
