"""Two hours of speech through a worker and its engine: all of it is analysed, in memory that does not grow with it.

The network is the engine's own, of a size at which two hours are soon computed.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from streamproc.bench.random import random_model
from streamproc.bench.resident import Resident, Watch, resident
from streamproc.emotion.network import PUBLISHED_STEM, NetworkConfig
from streamproc.settings import Settings
from tests.e2e.corpus import Corpus
from tests.e2e.oracle import Oracle
from tests.e2e.workers import PATIENCE_S, Worker, until
from tests.unit.audio.sounds import encoded, talk

TINY = NetworkConfig(32, 2, 1, 1, 9, stem=tuple(layer._replace(channels=8) for layer in PUBLISHED_STEM))
SHORT_MIN, LONG_MIN = 10, 120
PER_MINUTE = 5
PERIOD_S = 0.3
"""Between two looks, which take a tenth of it."""
WANTED = {"outputs": ["scores", "segments"]}
COPIES = 2
"""Of a recording's bytes, while it goes from the store to a decoder."""
MARGIN = 64_000_000
"""Bytes by which a worker's peak differs from run to run. A copy of the long one's samples would be 460 MB."""


@pytest.mark.slow
@pytest.mark.timeout(6 * PATIENCE_S)
def test_two_hours_are_analysed_in_the_memory_of_ten_minutes(
    own: Settings, worker: Worker, oracle: Oracle, corpus: Corpus
) -> None:
    worker.set("STREAMPROC_AUDIO__MAX_OBJECT_BYTES", str(512 * 1024**2))
    worker.set("STREAMPROC_AUDIO__MAX_SECONDS", str(3 * 3600))
    minute = talk([(11, 1)] * PER_MINUTE)
    bodies = {minutes: encoded(np.tile(minute, minutes), 16_000, "FLAC") for minutes in (SHORT_MIN, LONG_MIN)}
    with random_model("tiny", TINY, 1) as folder:
        worker.set("STREAMPROC_MODEL__NAME_OR_DIR", str(folder))
        worker.start()
        peaks = {}
        for number, (minutes, body) in enumerate(bodies.items(), 1):
            oracle.produce(corpus.event(corpus.put(f"{minutes}.flac", body), event_id=str(minutes), **WANTED), b"k")
            peaks[minutes] = most_until(partial(committed, oracle, own, number), worker)
        assert worker.stop() == 0, worker.tail()

    seen = oracle.seen()
    for minutes, body in bodies.items():
        (result,) = of(seen.results, minutes)
        segments = sorted(of(seen.segments, minutes), key=lambda one: int(one["start_ms"]))
        print(f"{minutes} min: {len(body):,} bytes, {len(segments)} segments, {peaks[minutes]}")  # noqa: T201  # shown with -rP
        assert (result["tier"], result["duration_ms"]) == ("computed", 60_000 * minutes)
        assert result["segment_count"] == len(segments) >= PER_MINUTE * minutes
        assert segments[0]["start_ms"] < 1_000
        assert segments[-1]["end_ms"] > 60_000 * minutes - 2_000
        assert all(one["end_ms"] <= two["start_ms"] for one, two in pairwise(segments))
    grown = peaks[LONG_MIN].total - peaks[SHORT_MIN].total
    assert grown < COPIES * (len(bodies[LONG_MIN]) - len(bodies[SHORT_MIN])) + MARGIN


def committed(oracle: Oracle, own: Settings, records: int) -> bool:
    """Whether the group is done with so many."""
    return oracle.position(own.kafka.group) == records


def most_until(done: Callable[[], bool], worker: Worker) -> Resident:
    """The most that a worker has in memory meanwhile."""

    def lives() -> None:
        assert worker.process.poll() is None, worker.tail()

    with Watch(lambda: resident(worker.process.pid), PERIOD_S) as watch:
        until(done, 4 * PATIENCE_S, worker.tail, lives)
    return watch.most


def of(rows: list[dict[str, Any]], minutes: int) -> list[dict[str, Any]]:
    """Those of one recording."""
    return [row for row in rows if row["event_id"] == str(minutes)]
