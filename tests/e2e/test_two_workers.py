"""Two workers on one stream: what one has computed, or is computing, the other does not."""

import hashlib
import re
import signal
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import psutil
import pytest
from redis import Redis

from streamproc.bench.accelerator import ENGINE, identity_of
from streamproc.dedupe.redis import claim_key
from streamproc.records.identity import content_key, fingerprint, scope
from streamproc.settings import Settings
from tests.e2e.corpus import Corpus, wav
from tests.e2e.crew import Crew, holds
from tests.e2e.oracle import Oracle
from tests.e2e.workers import PATIENCE_S, Worker, until

CONTENTS = 150
NAME = "25@two workers"
"""It begins with audio-seconds per second: so slow that both workers want most before either has computed it."""
SECONDS = 0.5
CLAIM_WAIT_S = 5.0
"""A bound of the histogram of what a lookup took."""
STALLED_S = 10.0
"""What a busy machine may add to a wait; a claim that nobody bounds is waited for a minute."""


@pytest.fixture
def own(own: Settings) -> Settings:
    """So few lanes that each of two workers has partitions of the input, however the group shares them out."""
    return own.model_copy(update={"topics": own.topics.model_copy(update={"lane_partitions": 1})})


@pytest.fixture
def crew(variables: dict[str, str], tmp_path: Path) -> Iterator[Crew]:
    crew = Crew(
        {
            **variables,
            "STREAMPROC_MODEL__ENGINE": ENGINE,
            "STREAMPROC_MODEL__NAME_OR_DIR": NAME,
            "STREAMPROC_DEDUPE__CLAIM_WAIT_S": f"{CLAIM_WAIT_S:g}",
            "STREAMPROC_FLOW__MICRO_BATCH_RECORDS": "32",
        },
        tmp_path,
    )
    yield crew
    crew.close()


def two(own: Settings, crew: Crew) -> tuple[Worker, Worker]:
    """Both at work, each with partitions of the input."""
    first, second = crew.join(), crew.join()
    until(lambda: all(inputs(own, worker) for worker in (first, second)), PATIENCE_S, first.tail, crew.check)
    return first, second


def inputs(own: Settings, worker: Worker) -> list[int]:
    """The partitions of the input topic that a worker has."""
    places = [name.rpartition("/") for name in holds(worker)]
    return [int(partition) for topic, _, partition in places if topic == own.topics.recordings]


def recordings(corpus: Corpus, count: int, seed: int) -> Mapping[str, bytes]:
    """Events by the hash of what they announce, nothing of which anybody has heard before."""
    noise = np.random.default_rng(seed)
    bodies = [wav(noise.uniform(-0.3, 0.3, round(16_000 * SECONDS))) for _ in range(count)]
    hashes = [hashlib.sha256(body).hexdigest() for body in bodies]
    return {
        sha256: corpus.event(corpus.put(f"two/{sha256}.wav", body)) for sha256, body in zip(hashes, bodies, strict=True)
    }


def lookups(worker: Worker) -> Mapping[str, int]:
    """How many lookups took so long at most, by the bounds of the worker's histogram."""
    found = re.findall(
        r'^streamproc_stage_seconds_bucket\{le="([^"]+)",stage="lookup"\} (\S+)$', worker.ask("/metrics"), re.MULTILINE
    )
    return {bound: int(float(count)) for bound, count in found}


@pytest.mark.timeout(3 * PATIENCE_S)
def test_each_new_content_is_computed_once(own: Settings, oracle: Oracle, corpus: Corpus, crew: Crew) -> None:
    workers = two(own, crew)
    events = recordings(corpus, CONTENTS, seed=21)
    for number, event in enumerate(events.values()):
        for partition in range(own.topics.partitions):  # both workers have some
            oracle.produce(event, b"call-%d" % number, partition=partition)
    sent = CONTENTS * own.topics.partitions
    until(lambda: oracle.position(own.kafka.group) == sent, PATIENCE_S, crew.there[0].tail, crew.check)

    took = [lookups(worker) for worker in workers]
    crew.stop()
    rows = oracle.seen().results
    assert len(rows) == sent
    computed = Counter(str(row["content_sha256"]) for row in rows if row["tier"] == "computed")
    assert computed.keys() == events.keys()
    once = sum(times == 1 for times in computed.values())
    shared = sum(row["tier"] == "redis" for row in rows)
    print(f"{once} of {CONTENTS} once, {shared} found in Redis, lookups {took}")  # noqa: T201  # shown with -rP
    assert once >= 0.99 * CONTENTS
    assert shared > 0.1 * CONTENTS, "the workers were never in each other's way"
    for found in took:
        assert found["5.0"] == found["+Inf"], f"a lookup took longer than dedupe.claim_wait_s={CLAIM_WAIT_S}"


@pytest.mark.timeout(3 * PATIENCE_S)
def test_nobody_waits_for_one_that_hangs_for_longer_than_is_set(
    own: Settings, oracle: Oracle, corpus: Corpus, crew: Crew
) -> None:
    first, second = two(own, crew)
    here, there = (min(inputs(own, worker)) for worker in (first, second))
    [device] = (
        child for child in psutil.Process(first.process.pid).children() if "device_main" in str(child.cmdline())
    )
    device.send_signal(signal.SIGSTOP)
    [(sha256, event)] = recordings(corpus, 1, seed=22).items()
    oracle.produce(event, b"call", partition=here)
    key = claim_key(content_key(scope("global", None), sha256, fingerprint(identity_of(NAME), "mix")))
    redis = Redis.from_url(own.redis.url.get_secret_value() if own.redis.url else "")
    until(lambda: bool(redis.exists(key)), PATIENCE_S, first.tail, crew.check)
    redis.close()

    oracle.produce(event, b"call", partition=there)
    until(lambda: oracle.position(own.kafka.group) == 1, PATIENCE_S, second.tail, crew.check)
    device.send_signal(signal.SIGCONT)
    until(lambda: oracle.position(own.kafka.group) == 2, PATIENCE_S, first.tail, crew.check)
    crew.stop()
    rows = {int(str(row["input_partition"])): row for row in oracle.seen().results}
    assert [rows[place]["tier"] for place in (here, there)] == ["computed", "computed"]
    waited_s = int(str(rows[there]["processing_ms"])) / 1000
    assert CLAIM_WAIT_S <= waited_s < CLAIM_WAIT_S + STALLED_S
