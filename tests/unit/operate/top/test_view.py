import re
import time
from collections.abc import Iterator

import pytest

from streamproc.operate.report import scraped as scraped_report
from streamproc.operate.top.scrape import Scrape, read
from streamproc.operate.top.view import view
from streamproc.telemetry.families import PREFIX
from streamproc.telemetry.metrics import Metrics, Queue
from streamproc.telemetry.timesheet import Activity, Hand


def scraped(metrics: Metrics, at: float, worker: str = "a:1") -> Scrape:
    from prometheus_client import generate_latest

    return Scrape(worker, at, read(generate_latest(metrics.registry).decode()))


def test_counters_become_rates_and_gauges_stay() -> None:
    metrics = Metrics()
    metrics.records["result"].inc(100)
    before = scraped(metrics, 10.0)
    metrics.records["result"].inc(30)
    metrics.records["dead_letter"].inc(2)
    metrics.dead_letters["object_missing"].inc(2)  # type: ignore[index]  # a Reason is its text
    metrics.audio_seconds.inc(8)
    metrics.analyses["memory"].inc(3)
    metrics.analyses["computed"].inc(1)
    metrics.lag_seconds[Queue.RECORDINGS].set(7)
    metrics.lag_seconds[Queue.LATER].set(70)
    metrics.partitions.set(4)
    metrics.ready.set(1)
    metrics.backlog_audio_seconds.set(90)
    metrics.speed.set(3)
    found = view([(before, scraped(metrics, 12.0))])
    assert found.outcomes == {"result": 15.0, "dead_letter": 1.0, "retry": 0.0}
    assert found.reasons == {"object_missing": 1.0}
    assert found.hit_rate == 0.75
    assert found.drain_s == 30
    assert (found.records_per_s, found.lag_s, found.seconds) == (16.0, 7.0, 2.0)
    (one,) = found.workers
    assert (one.worker, one.ready, one.brake, one.partitions, one.audio_per_s) == ("a:1", True, False, 4, 4.0)


def test_a_worker_that_was_started_again_counts_from_nothing() -> None:
    old, new = Metrics(), Metrics()
    old.records["result"].inc(1000)
    new.records["result"].inc(5)
    found = view([(scraped(old, 0.0), scraped(new, 1.0))])
    assert found.outcomes["result"] == 5


def test_stages_are_means_of_what_passed_between() -> None:
    from streamproc.errors import Stage

    metrics = Metrics()
    metrics.stage_seconds[Stage.FETCH].observe(100)
    before = scraped(metrics, 0.0)
    metrics.stage_seconds[Stage.FETCH].observe(0.2)
    metrics.stage_seconds[Stage.FETCH].observe(0.4)
    found = view([(before, scraped(metrics, 1.0))])
    assert found.stages == {"fetch": pytest.approx(0.3)}


def test_workers_add_up_and_who_is_missing_is_named() -> None:
    pairs = []
    for worker, grown in (("a:1", 2), ("b:1", 4)):
        metrics = Metrics()
        before = scraped(metrics, 0.0, worker)
        metrics.records["result"].inc(grown)
        pairs.append((before, scraped(metrics, 2.0, worker)))
    found = view(pairs, ["worker c:1 does not answer"])
    assert found.records_per_s == 3.0
    assert found.missing == ("worker c:1 does not answer",)


def test_nothing_is_no_number() -> None:
    found = view([])
    assert found.hit_rate is None
    assert found.drain_s is None
    assert (found.workers, found.lag_s) == ((), 0.0)


def test_every_metric_that_is_asked_for_is_on_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, None] = {}

    def of(_: Scrape, name: str, **labels: str) -> Iterator[tuple[dict[str, str], float]]:
        asked[name] = None
        return iter([({**labels, "dependency": "kafka"}, 1.0)])

    monkeypatch.setattr(Scrape, "of", of)
    view([(Scrape("a:1", 0.0, {}), Scrape("a:1", 1.0, {}))])
    known = {one.name: one for one in Metrics().definitions}
    assert len(asked) > 10
    for name in (*asked, *scraped_report.COUNTERS):
        plain = re.sub(r"_(sum|count|bucket)$", "", f"{PREFIX}{name}")
        assert f"{PREFIX}{name}" in known or known[plain].kind == "histogram", name


def test_a_device_is_never_busier_than_all_of_its_time() -> None:
    metrics = Metrics()
    sheet = metrics.sheets.open(Hand.DEVICE, "device", Activity.COMPUTE)
    before = scraped(metrics, 10.0)
    time.sleep(0.05)
    late = scraped(metrics, 10.001)  # the first answer was longer on its way than this one
    (one,) = view([(before, late)]).workers
    assert one.device_busy == 1
    sheet.enter(Activity.IDLE)
    time.sleep(0.15)
    (one,) = view([(before, scraped(metrics, 10.2))]).workers
    assert 0 < one.device_busy < 0.9
