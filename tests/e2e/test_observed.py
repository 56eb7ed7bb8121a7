"""What a real worker under load shows of itself: every metric is fed, and all time is accounted for."""

import json
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamproc.settings import Settings
from streamproc.telemetry.families import Definition
from streamproc.telemetry.metrics import Metrics
from streamproc.telemetry.timesheet import ACTIVITIES, Hand
from tests.e2e.corpus import Corpus
from tests.e2e.oracle import Oracle
from tests.e2e.test_faults import child
from tests.e2e.workers import PATIENCE_S, Worker, until

COUNT = 60
WITHIN = 0.02
"""How much of a thread's time may be unaccounted for."""

STILL = {
    "streamproc_transaction_aborts_total": "no broker fails here; tests/e2e/test_faults.py",
    "streamproc_resumed_audio_seconds_total": "nobody left a long recording behind; tests/e2e/test_resume.py",
    "streamproc_tier_errors_total": "Redis works here; tests/unit/dedupe/test_redis.py",
    "streamproc_dependency_down": "no server is away here; tests/e2e/test_faults.py",
    "streamproc_brake_on": "most records are good here; tests/e2e/test_brake.py",
    "streamproc_brake_probes_total": "nor is anything probed; tests/unit/worker/test_brake.py",
    "streamproc_device_memory_bytes": "there is no accelerator here; tests/unit/telemetry/test_memory.py",
}
"""What does not move here, why, and who sees it move."""

Shown = Mapping[tuple[str, tuple[tuple[str, str], ...]], float]


def shown(worker: Worker) -> Shown:
    """Every sample of ours."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(worker.ask("/metrics"))
        for sample in family.samples
        if sample.name.startswith("streamproc_")
    }


def status(worker: Worker) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(worker.ask("/status"))
    return answer


def samples(metric: Definition) -> list[str]:
    """What it is called in the text format."""
    parts = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
    return [f"{metric.name}{part}" for part in parts]


def moved(seen: list[Shown], name: str) -> bool:
    """Whether any series of a metric was seen at two values (NaN is not one, and zero is where all begin)."""
    values: dict[tuple[str, tuple[tuple[str, str], ...]], set[float]] = {}
    for one in seen:
        for series, value in one.items():
            if series[0] in {name, f"{name}_count"} and value == value:  # noqa: PLR0124  # NaN alone is not itself
                values.setdefault(series, {0.0}).add(value)
    return any(len(found) > 1 for found in values.values())


@pytest.mark.timeout(3 * PATIENCE_S)
def test_every_metric_moves_and_all_time_is_accounted_for(
    own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker
) -> None:
    # Another database of Redis: what other tests computed would leave the device nothing to do.
    known = own.redis.url
    assert known is not None
    worker.set("STREAMPROC_REDIS__URL", urlsplit(known.get_secret_value())._replace(path="/9").geturl())
    worker.set("STREAMPROC_DEDUPE__TRUST", "etag")
    worker.set("STREAMPROC_STORAGE__YOUNG_S", "3600")
    good = corpus.good(COUNT, seed=3)
    for one in good:
        oracle.produce(one.value, b"call")
    bad = [next(corpus.bad()).value, corpus.event("e2e/not-there.wav")]
    for value in bad:
        oracle.produce(value, b"call")
    total = len(good) + len(bad)

    worker.start()
    waits, seen = set[str | None](), list[Shown]()
    until(lambda: bool(worker.lines()) and bool(worker.ask("/status")), PATIENCE_S, worker.tail)

    def look() -> None:
        waits.add(status(worker)["waits_for"])
        seen.append(shown(worker))

    until(lambda: len(seen) > 0 and oracle.position(own.kafka.group) >= total, PATIENCE_S, worker.tail, look)
    doomed = [child(worker, module) for module in ("streamproc.emotion.device_main", "streamproc.audio.child")]
    for process in doomed:
        process.kill()
    again = corpus.good(COUNT, seed=3)
    for one in again:
        oracle.produce(one.value, b"call")
    total += len(again)
    until(lambda: oracle.position(own.kafka.group) >= total, PATIENCE_S, worker.tail, look)

    before, began = shown(worker), time.monotonic()
    time.sleep(3)
    after, ended = shown(worker), time.monotonic()
    seen += [before, after]

    names = {definition.name for definition in Metrics().definitions}
    assert {name for name in names if not moved(seen, name)} == STILL.keys()
    assert {name for name, _ in after} == {name for one in Metrics().definitions for name in samples(one)}
    assert "the network to load" in waits
    assert None in waits
    for hand in ACTIVITIES:
        check_time(hand, before, after, ended - began)
    check_age(worker, after)


def check_time(hand: Hand, before: Shown, after: Shown, wall_s: float) -> None:
    """What passed between two looks is accounted for, of each thread."""
    passed = sum(
        after[series] - before[series]
        for series in after
        if series[0] == "streamproc_time_seconds_total" and ("thread", hand) in series[1]
    )
    count = after["streamproc_threads", (("thread", hand),)]
    assert passed == pytest.approx(count * wall_s, rel=WITHIN), hand


def check_age(worker: Worker, after: Shown) -> None:
    """All the time since the loop began is accounted for, and the loop began when its process was young."""
    loop_s = sum(
        value
        for (name, labels), value in after.items()
        if name == "streamproc_time_seconds_total" and ("thread", "loop") in labels
    )
    age_s = time.time() - psutil.Process(worker.process.pid).create_time()
    assert loop_s < age_s
