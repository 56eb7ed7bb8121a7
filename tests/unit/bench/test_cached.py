import io
import json
import time
from collections import Counter

import numpy as np
import pytest
from rich.console import Console

from streamproc.analyzer import AnalyzerOptions
from streamproc.bench.accelerator import FREE, accelerated, analysis_of, make
from streamproc.bench.cached import CASES, CachedReport, CaseFigures, Load, with_tiers
from streamproc.bench.cached_show import cached_json, show_cached
from streamproc.bench.played import Latency, latency
from streamproc.bench.zipf import draws
from streamproc.dedupe.memory import MemoryTier
from streamproc.errors import UsageError
from streamproc.settings import ModelSettings, Settings
from streamproc.testing.analyzer import (
    Check,
    Subject,
    gives_a_value_for_each_item,
    takes_an_empty_batch,
    takes_the_shortest_and_the_longest,
)
from tests.unit.bench.made import MACHINE

LOAD = Load(recordings=400, events=1_000, exponent=1.0, remembered=20, events_per_s=100.0)


def options(model: str) -> AnalyzerOptions:
    return AnalyzerOptions(model, "cpu", "fp32", 0, 60.0)


def test_the_most_frequent_of_zipf_s_law_is_heard_twice_as_often_as_the_second() -> None:
    counts = Counter(draws(1_000, 200_000, 1.0, seed=1))
    assert counts[0] / counts[1] == pytest.approx(2, rel=0.05)
    assert counts[0] / counts[9] == pytest.approx(10, rel=0.1)


def test_with_exponent_zero_all_are_heard_equally_often() -> None:
    counts = Counter(draws(10, 100_000, 0.0, seed=1))
    assert max(counts.values()) / min(counts.values()) < 1.1


def test_a_seed_gives_the_same_events() -> None:
    assert draws(100, 50, 1.0, seed=3) == draws(100, 50, 1.0, seed=3)
    assert draws(100, 50, 1.0, seed=3) != draws(100, 50, 1.0, seed=4)


def test_latencies_are_summed_up_in_ms() -> None:
    assert latency([0.001 * ms for ms in range(101)]) == pytest.approx(Latency(50, 50, 95, 99))
    with pytest.raises(ValueError, match="nothing"):
        latency([])


@pytest.mark.parametrize(
    "check", [gives_a_value_for_each_item, takes_the_shortest_and_the_longest, takes_an_empty_batch]
)
def test_the_accelerator_answers_what_a_worker_asks(check: Check) -> None:
    check(Subject(lambda: make(options("inf@a")), lambda: make(options("inf@b"))))


def test_an_accelerator_takes_the_time_that_it_is_told() -> None:
    second = np.zeros(16_000, np.float32)
    began = time.perf_counter()
    make(options("20@x")).run([second, second])
    assert time.perf_counter() - began >= 0.1


@pytest.mark.parametrize("name", ["fast", "0@x", "-1@x", "nan@x", ""])
def test_an_accelerator_without_a_speed_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="audio-seconds per second"):
        make(options(name))


def test_the_settings_name_the_accelerator() -> None:
    model = accelerated(ModelSettings(), FREE, "run")
    assert make(options(model.name_or_dir)).identity.name == "accelerator inf@run"


def test_each_case_has_the_tiers_that_it_says() -> None:
    for name, tiers in CASES.items():
        own = with_tiers(Settings(), LOAD, "run", tiers)
        near = MemoryTier(own.dedupe.memory_bytes)
        for number in range(100):
            near.put(f"{'x' * 64}{number}", analysis_of(500))
        url = own.redis.url.get_secret_value() if own.redis.url else ""
        assert (len(near), bool(url), own.dedupe.archive) == (20 if tiers[0] else 0, tiers[1], tiers[2]), name


def report() -> CachedReport:
    shares = {"memory": 0.25, "redis": 0.0, "archive": 0.0, "computed": 0.75}
    more = {"memory": 0.25, "redis": 0.5, "archive": 0.0, "computed": 0.25}
    cases = [
        CaseFigures("none", shares, 9.0, Latency(800, 700, 1_500, 2_000)),
        CaseFigures("+ Redis", more, 3.0, Latency(300, 200, 450, 500)),
    ]
    return CachedReport(MACHINE, LOAD, 222, 247, cases)


def test_cases_are_shown_side_by_side_in_80_columns() -> None:
    out = io.StringIO()
    show_cached(report(), Console(file=out, width=80))
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert ["none", "25.0%", "25.0%", "0.0%", "0.0%", "9.0", "0.0", "800", "1500"] in lines
    assert ["+", "Redis", "75.0%", "25.0%", "50.0%", "0.0%", "3.0", "6.0", "300", "450"] in lines


def test_programs_get_rates_and_what_was_saved() -> None:
    told = json.loads(json.dumps(cached_json(report())))
    assert [case["hit_rate"] for case in told["cases"]] == [0.25, 0.75]
    assert [case["saved_device_s"] for case in told["cases"]] == [0.0, 6.0]
    assert told["audio_s_per_s"] == LOAD.audio_s_per_s
