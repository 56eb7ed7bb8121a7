"""The alerts, played by promtool: each fires just above its bound, not before its time, and is silent just below."""

import json
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamproc.telemetry.connectors import ConnectorMetrics
from streamproc.telemetry.metrics import Metrics
from tests.prometheus import program

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "infra" / "prometheus"
RULES = FOLDER / "streamproc.rules.yml"
UNITS = {"s": 1, "m": 60, "h": 3600}
HERE = 'job="streamproc",instance="a"'
THERE = 'job="streamproc",instance="b"'

UNKNOWN = "NaN "
"""One sample of what is not known."""
RESULTS, LETTERS = 'connector="emotion-results"', 'connector="dead-letters"'

Series = dict[str, str]


@dataclass(frozen=True)
class Case:
    """What an alert is played: series as promtool writes them, by name and labels."""

    above: Series
    below: Series
    at: str
    summary: str
    labels: str = ""
    """Beside the job."""
    step: str = "15s"


def named(name: str, labels: str = "", instance: str = HERE) -> str:
    return f"streamproc_{name}{{{','.join(filter(None, (instance, labels)))}}}"


def ends(dead: float, count: int) -> Series:
    """Records by outcome, 100 a step besides retries, of which these become dead letters."""
    return {
        named("records_total", 'outcome="dead_letter"'): f"0+{dead}x{count}",
        named("records_total", 'outcome="result"'): f"0+{100 - dead}x{count}",
        named("records_total", 'outcome="retry"'): f"0+50x{count}",
    }


def responses(mean_s: float) -> Series:
    return {named("response_seconds_sum"): f"0+{15 * mean_s}x40", named("response_seconds_count"): "0+15x40"}


def in_time(share: float, count: int) -> Series:
    return {
        named("response_seconds_bucket", 'le="60.0"'): f"0+{10 * share}x{count}",
        named("response_seconds_count"): f"0+10x{count}",
    }


def spelt(values: Iterable[float]) -> str:
    return " ".join(map(str, values))


def late(*spans: tuple[int, bool]) -> Series:
    """Ten records a step, all of them late or none, for so many steps each."""
    each = [is_late for count, is_late in spans for _ in range(count)]
    return {
        named("response_seconds_bucket", 'le="60.0"'): spelt(accumulate(0 if is_late else 10 for is_late in each)),
        named("response_seconds_count"): spelt(accumulate(10 for _ in each)),
    }


def backlog(audio_s: float) -> Series:
    both = [HERE, THERE]
    return {named("backlog_audio_seconds", instance=one): f"{audio_s / 2}x40" for one in both} | {
        named("speed_ratio", instance=one): "0.5x40" for one in both
    }


def lag(values: str, ended: str = "5x80", in_flight: int = 1, records: int = 3, *, instance: str = HERE) -> Series:
    return {
        named("in_flight_records", instance=instance): f"{in_flight}x80",
        named("lag_records", 'topic="recordings"', instance): f"{records}x80",
        named("partitions", instance=instance): "2x80",
        named("lag_seconds", 'topic="recordings"', instance): values,
        named("lag_seconds", 'topic="later"', instance): "300+1x80",  # a lane's records wait on purpose
        named("records_total", 'outcome="result"', instance): ended,
    }


def device_memory(share: float) -> Series:
    return {
        named("device_memory_bytes", 'part="used"'): f"{1000 * share}x60",
        named("device_memory_bytes", 'part="total"'): "1000x60",
        named("device_memory_bytes", 'part="used"', THERE): "0x60",  # a CPU has none
        named("device_memory_bytes", 'part="total"', THERE): "0x60",
    }


def restarts(count: int) -> Series:
    """A worker that was started again so often, one that never was, and another program that often is."""
    began = "0x24 " + " ".join(f"_x2 {number}x8" for number in range(1, count + 1))
    foreign = 'job="node",instance="a"'
    return {
        named("ready"): "0x80",
        f"process_start_time_seconds{{{HERE}}}": f"{began} {count}x40",
        f"process_start_time_seconds{{{THERE}}}": "1x80",
        f"process_start_time_seconds{{{foreign}}}": "0+1x80",
    }


def never_ready(restarts: int, after: int = 0) -> Series:
    """A worker that ends again and again, one that does and was ready, and a spare one, which does not end."""
    began = " ".join(f"_x3 {number}x43" for number in range(1, restarts + 1))
    spare = 'job="streamproc",instance="c"'
    return {
        named("ready"): f"0x40 {after} 0x160",
        named("ready", instance=THERE): "1x200",
        named("ready", instance=spare): "0x200",
        f"process_start_time_seconds{{{HERE}}}": f"0x40 {began} {restarts}x100",
        f"process_start_time_seconds{{{THERE}}}": "0x10 1x10 2x10 3x160",
        f"process_start_time_seconds{{{spare}}}": "1x200",
    }


def commits(under_5_s: float) -> Series:
    """100 a step."""
    buckets = {"2.0": 0, "5.0": under_5_s, "10.0": 100, "+Inf": 100}
    series = {named("commit_seconds_bucket", f'le="{le}"'): f"0+{count}x60" for le, count in buckets.items()}
    return {**series, named("commit_seconds_count"): "0+100x60"}


def hits(after: int, before: int = 40) -> Series:
    """So many of a hundred known for 25 hours, then so many."""
    memory, computed = 5 * before, 500 - 5 * before
    return {
        named("analyses_total", 'tier="memory"'): f"0+{memory}x300 {300 * memory}+{5 * after}x40",
        named("analyses_total", 'tier="computed"'): f"0+{computed}x300 {300 * computed}+{500 - 5 * after}x40",
    }


CASES = {
    "StreamprocResponseTime": Case(
        responses(5.1), responses(4.9), "10m", "streamproc: records take 5.1s on average, over 5 s"
    ),
    "StreamprocErrorRate": Case(
        ends(5.1, 40), ends(4.9, 40), "10m", "streamproc: 5.1% of the records become dead letters, over 5 %"
    ),
    "StreamprocDeadLetters": Case(
        ends(1.1, 100), ends(0.9, 100), "90m", "streamproc: 1.1% of an hour's records became dead letters", step="1m"
    ),
    "StreamprocBacklog": Case(
        backlog(303),
        backlog(297),
        "5m",
        "streamproc: 2m 31s of audio wait for one worker, more than its 5 minutes' work",
    ),
    "StreamprocLag": Case(
        lag("61+0.125x80"),
        lag("49+0.125x80"),
        "20m",
        "streamproc: a worker's oldest recording waits 1m 11s, longer and longer",
    ),
    "StreamprocObjectiveBurnsFast": Case(
        in_time(0.85, 80),
        in_time(0.857, 80),
        "70m",
        "streamproc: 15% of an hour's records took over a minute",
        step="1m",
    ),
    "StreamprocObjectiveBurnsSlowly": Case(
        in_time(0.939, 400),
        in_time(0.941, 400),
        "390m",
        "streamproc: 6.1% of six hours' records took over a minute",
        step="1m",
    ),
    "StreamprocInstanceDown": Case(
        {f"up{{{HERE}}}": "0x40"}, {f"up{{{HERE}}}": "1x40"}, "5m", "a of streamproc does not answer", 'instance="a"'
    ),
    "StreamprocNoWorkers": Case(
        {named("ready"): "1x8 stale", named("ready", instance=THERE): "0x16 stale"},
        {named("ready"): "1x8 stale", named("ready", instance=THERE): "0x40"},
        "8m",
        "streamproc: 2 workers were there within the day, and none is now",
    ),
    "StreamprocNotReady": Case(
        {named("ready"): "0x4 _x4 " * 8, named("ready", instance=THERE): "0x80"},
        {named("ready"): "0x4 _x4 " * 8, named("ready", instance=THERE): "0x19 1 0x60"},
        "10m",
        "streamproc: no worker has been ready for over 5 minutes",
    ),
    "StreamprocRestarts": Case(
        restarts(4),
        restarts(3),
        "20m",
        "a was started again 4 times in 15 minutes",
        'instance="a"',
    ),
    "StreamprocNeverReady": Case(
        never_ready(2),
        never_ready(1),
        "35m",
        "a was started again 2 times in 30 minutes, and was never ready",
        'instance="a"',
    ),
    "StreamprocNoProgress": Case(
        lag("61x80"), lag("59x80"), "10m", "streamproc: records wait for 1m 1s, and none was ended in 5 minutes"
    ),
    "StreamprocBrakeOn": Case(
        {named("brake_on"): "1x10"},
        {named("brake_on"): "0x10"},
        "1m",
        "a takes no records: too many became dead letters",
        'instance="a"',
    ),
    "StreamprocRebalanceStorm": Case(
        {
            named("rebalances_total", 'event="revoked"'): "0+0.1375x80",
            named("rebalances_total", 'event="lost"'): "0+0.1375x80",
        },
        {
            named("rebalances_total", 'event="revoked"'): "0+0.2375x80",
            named("rebalances_total", 'event="assigned"'): "0+1x80",
        },
        "15m",
        "a gave partitions up 11 times in 10 minutes",
        'instance="a"',
    ),
    "StreamprocDeviceMemory": Case(
        device_memory(0.91), device_memory(0.89), "10m", "a: 91% of the accelerator's memory are used", 'instance="a"'
    ),
    "StreamprocDependencyDown": Case(
        {named("dependency_down", 'dependency="redis"'): "1x40"},
        {named("dependency_down", 'dependency="redis"'): "0x40"},
        "5m",
        "streamproc does without redis, or waits for it",
        'dependency="redis"',
    ),
    "StreamprocCommitLatency": Case(
        commits(98.9), commits(99.1), "12m", "streamproc: one commit in a hundred takes over 5.455s"
    ),
    "StreamprocClockSkew": Case(
        {named("broker_clock_skew_seconds"): "-2.1x60"},
        {named("broker_clock_skew_seconds"): "-1.9x60", named("broker_clock_skew_seconds", "", THERE): "0x60"},
        "10m",
        "a: the broker's clock and its own are 2.1s apart",
        'instance="a"',
    ),
    "StreamprocHitRate": Case(
        hits(19), hits(21), "27h", "streamproc: 19% were known, under half of a day ago", step="5m"
    ),
    "StreamprocConnectorDown": Case(
        {named("connector_running", RESULTS): "0x60", named("connector_running", LETTERS): "1x60"},
        {named("connector_running", RESULTS): "1x60"},
        "10m",
        "emotion-results does not run, or Kafka Connect is away: no rows come",
        RESULTS,
    ),
    "StreamprocConnectorLag": Case(
        {named("connector_lag_seconds", RESULTS): "601x60", named("connector_lag_seconds", LETTERS): UNKNOWN * 60},
        {named("connector_lag_seconds", RESULTS): "599x60"},
        "10m",
        "emotion-results: a record has waited 10m 1s for its row",
        RESULTS,
    ),
    "StreamprocWarehouseDown": Case(
        {named("warehouse_down"): "1x60"},
        {named("warehouse_down"): f"0x20 {UNKNOWN * 40}"},
        "10m",
        "streamproc: PostgreSQL does not let connectors in, or is away",
    ),
    "StreamprocPutAside": Case(
        {named("connectors_put_aside_records"): f"{UNKNOWN * 10} 28x10 29x60"},
        {named("connectors_put_aside_records"): f"{UNKNOWN * 10} 28x80"},
        "70m",
        "streamproc: connectors put records aside, 29 by now",
        step="1m",
    ),
}


HOLDS = {
    "StreamprocResponseTime": "2m",
    "StreamprocErrorRate": "2m",
    "StreamprocDeadLetters": "10m",
    "StreamprocBacklog": "2m",
    "StreamprocLag": "5m",
    "StreamprocInstanceDown": "1m",
    "StreamprocNoWorkers": "2m",
    "StreamprocNotReady": "5m",
    "StreamprocNoProgress": "2m",
    "StreamprocDeviceMemory": "5m",
    "StreamprocDependencyDown": "1m",
    "StreamprocCommitLatency": "5m",
    "StreamprocClockSkew": "5m",
    "StreamprocHitRate": "30m",
    "StreamprocConnectorDown": "5m",
    "StreamprocConnectorLag": "5m",
    "StreamprocWarehouseDown": "5m",
}
"""How long a condition has to hold; the others fire at once."""


def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"] if "alert" in rule}


def expressions() -> list[str]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def seconds(text: str) -> int:
    return int(text[:-1]) * UNITS[text[-1]]


def played(case: Case, series: Series, alert: str, at: str, expected: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "interval": case.step,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": expected}],
    }


def fired(alert: str, summary: str | None = None) -> dict[str, Any]:
    """What promtool is to find of an alert that fires."""
    case, rule = CASES[alert], alerts()[alert]
    pairs = re.findall(r'(\w+)="([^"]*)"', case.labels)
    return {
        "exp_labels": {"job": "streamproc", **dict(pairs), **rule["labels"]},
        "exp_annotations": {"summary": summary or case.summary, "runbook_url": rule["annotations"]["runbook_url"]},
    }


def promtool(*words: str | Path) -> str:
    done = subprocess.run([program("promtool"), *words], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def judged(case: Case, tests: list[dict[str, Any]], folder: Path) -> str:
    """What promtool says of the rules when it plays these."""
    file = folder / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": case.step, "tests": tests}))
    return promtool("test", "rules", file)


def test_the_files_are_what_prometheus_takes() -> None:
    assert f"{len(expressions())} rules found" in promtool("check", "rules", RULES)
    assert "1 rule files found" in promtool("check", "config", FOLDER / "prometheus.yml")


def test_every_alert_is_played() -> None:
    assert set(CASES) == set(alerts())


def test_rules_ask_for_metrics_that_there_are() -> None:
    known = {one.name: one for one in (*Metrics().definitions, *ConnectorMetrics().definitions)}
    asked = {name for text in expressions() for name in re.findall(r"(?<![\w:])streamproc_\w+", text)}
    assert len(asked) > 10
    for name in asked:
        plain = re.sub(r"_(sum|count|bucket)$", "", name)
        assert name in known or known[plain].kind == "histogram"


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_above_its_bound_and_is_silent_below(alert: str, tmp_path: Path) -> None:
    case, rule = CASES[alert], alerts()[alert]
    tests = [
        played(case, case.above, alert, case.at, [fired(alert)]),
        played(case, case.below, alert, case.at, []),
    ]
    assert rule.get("for") == HOLDS.get(alert)
    if alert in HOLDS:
        too_early = f"{seconds(HOLDS[alert]) - 15}s"
        tests.append(played(case, case.above, alert, too_early, []))
    assert "SUCCESS" in judged(case, tests, tmp_path)


def few_ended(each: float) -> Series:
    return {named("response_seconds_sum"): f"0+{60 * each}x40", named("response_seconds_count"): f"0+{each}x40"}


def few_dead(each: float, count: int) -> Series:
    return {named("records_total", 'outcome="dead_letter"'): f"0+{each}x{count}"}


def few_late(each: float, count: int) -> Series:
    late = f"0+{each}x{count}"
    return {named("response_seconds_bucket", 'le="60.0"'): f"0x{count}", named("response_seconds_count"): late}


def few_commits(each: float) -> Series:
    slow = {named("commit_seconds_bucket", f'le="{le}"'): f"0+{each}x60" for le in ("10.0", "+Inf")}
    return {**slow, named("commit_seconds_bucket", 'le="5.0"'): "0x60", named("commit_seconds_count"): f"0+{each}x60"}


def few_known(each: float) -> Series:
    return {
        named("analyses_total", 'tier="memory"'): "0+200x300 60000x40",
        named("analyses_total", 'tier="computed"'): f"0+300x300 90000+{each}x40",
    }


@pytest.mark.parametrize(
    ("alert", "enough", "too_few", "told"),
    [
        ("StreamprocResponseTime", few_ended(1.26), few_ended(1.24), "records take 1m 0s on average"),
        ("StreamprocErrorRate", few_dead(0.63, 40), few_dead(0.62, 40), "100% of the records become dead letters"),
        ("StreamprocDeadLetters", few_dead(0.084, 100), few_dead(0.083, 100), "100% of an hour's records became"),
        ("StreamprocObjectiveBurnsFast", few_late(0.084, 80), few_late(0.083, 80), "100% of an hour's records took"),
        ("StreamprocObjectiveBurnsSlowly", few_late(0.0139, 400), few_late(0.0138, 400), "100% of six hours' records"),
        ("StreamprocCommitLatency", few_commits(0.26), few_commits(0.24), "in a hundred takes over 9.95s"),
        ("StreamprocHitRate", few_known(8.4), few_known(8.3), "0% were known"),
    ],
)
def test_a_share_of_too_few_is_silent(alert: str, enough: Series, too_few: Series, told: str, tmp_path: Path) -> None:
    case = CASES[alert]
    assert "SUCCESS" in judged(case, [played(case, too_few, alert, case.at, [])], tmp_path)
    with pytest.raises(AssertionError, match=re.escape(told)):
        judged(case, [played(case, enough, alert, case.at, [])], tmp_path)


@pytest.mark.parametrize(
    ("alert", "series"),
    [
        ("StreamprocLag", lag("70x80")),  # over the objective, and it does not grow
        ("StreamprocLag", lag("3000-10x80") | lag("0+0.01x80", instance=THERE)),  # one catches up, another is in time
        ("StreamprocLag", lag("61+0.125x80", in_flight=0)),  # marks of transactions at the end of an idle topic
        ("StreamprocNoProgress", lag("61x80", "0+1x80")),  # it waits, and work goes on
        ("StreamprocNoProgress", lag("61x80", in_flight=0, records=20)),  # marks, as above
        ("StreamprocNotReady", {named("ready"): "0x80", named("brake_on"): "1x80"}),  # which has an alert of its own
        ("StreamprocNeverReady", never_ready(2, after=1)),  # it was, for once
        ("StreamprocPutAside", {named("connectors_put_aside_records"): "28x20 3x60"}),  # made anew
        ("StreamprocPutAside", {named("connectors_put_aside_records"): "28x5 29x120"}),  # over an hour ago
    ],
)
def test_half_of_a_condition_is_silent(alert: str, series: Series, tmp_path: Path) -> None:
    case = CASES[alert]
    tests = [played(case, series, alert, case.at, [])]
    assert "SUCCESS" in judged(case, tests, tmp_path)


SOME = {
    "late for 20 minutes, and no more for 10": (
        "StreamprocObjectiveBurnsFast",
        late((30, False), (20, True), (10, False)),
        "59m",
    ),
    "late for 2 minutes": ("StreamprocObjectiveBurnsFast", late((60, False), (2, True)), "61m"),
    "late for an hour, and no more for 40 minutes": (
        "StreamprocObjectiveBurnsSlowly",
        late((260, False), (60, True), (40, False)),
        "359m",
    ),
    "late for 5 minutes": ("StreamprocObjectiveBurnsSlowly", late((360, False), (5, True)), "364m"),
    "one record every 270 s": ("StreamprocNoProgress", lag("61x80", "0x17 1x17 2x17 3x17 4x7"), "17m30s"),
    "away every second time": (
        "StreamprocDependencyDown",
        {named("dependency_down", 'dependency="redis"'): "0 1 " * 40},
        "10m",
    ),
    "four times in 20 minutes": (
        "StreamprocRestarts",
        {named("ready"): "0x80", f"process_start_time_seconds{{{HERE}}}": "0x19 1x19 2x19 3x19 4x9"},
        "20m",
    ),
    "the last one was ready 9 minutes ago": ("StreamprocNotReady", {named("ready"): "1x40 0x60"}, "19m"),
    "the first one came 4 minutes ago": ("StreamprocNotReady", {named("ready"): "_x40 0x60"}, "14m"),
    "away for 4 minutes, and back for 3": (
        "StreamprocDependencyDown",
        {named("dependency_down", 'dependency="redis"'): "0x39 1x15 0x60"},
        "17m",
    ),
    "twice in over half an hour": (
        "StreamprocNeverReady",
        {named("ready"): "0x200", f"process_start_time_seconds{{{HERE}}}": "0x20 1x119 2x60"},
        "36m",
    ),
    "less than next to nothing": ("StreamprocHitRate", hits(0, before=9), "27h"),
}
"""What happened, and when an alert is silent about it: without one of its windows, or with another, it would fire."""


@pytest.mark.parametrize("what", SOME)
def test_what_is_over_or_has_only_begun_is_silent(what: str, tmp_path: Path) -> None:
    alert, series, at = SOME[what]
    assert "SUCCESS" in judged(CASES[alert], [played(CASES[alert], series, alert, at, [])], tmp_path)


FOUR = (HERE, *(f'job="streamproc",instance="{name}"' for name in "bcd"))

OTHERWISE = {
    "eight steps up and four down": (
        "StreamprocLag",
        lag(
            spelt(100 + 60 * (step // 12) + (10 * min(step % 12, 8) - 5 * max(step % 12 - 8, 0)) for step in range(81))
        ),
        "20m",
        "streamproc: a worker's oldest recording waits 9m 0s, longer and longer",
    ),
    "two of four workers have all that waits": (
        "StreamprocBacklog",
        {named("speed_ratio", instance=one): "1x40" for one in FOUR}
        | {named("backlog_audio_seconds", instance=one): "0x40" for one in FOUR}
        | {named("backlog_audio_seconds"): "303x40", named("backlog_audio_seconds", instance=THERE): "301x40"},
        "5m",
        "streamproc: 5m 3s of audio wait for one worker, more than its 5 minutes' work",
    ),
    "seen every 4 minutes": (
        "StreamprocNotReady",
        {named("ready"): "0 _x15 " * 5},
        "18m",
        None,
    ),
    "the last one was ready 10 minutes ago": (
        "StreamprocNotReady",
        {named("ready"): "1x40 0x60"},
        "20m30s",
        None,
    ),
    "the first one came 5 minutes ago": (
        "StreamprocNotReady",
        {named("ready"): "_x40 0x60"},
        "15m30s",
        None,
    ),
    "away for 4 minutes, and back for 2": (
        "StreamprocDependencyDown",
        {named("dependency_down", 'dependency="redis"'): "0x39 1x15 0x60"},
        "16m",
        None,
    ),
    "away after long being there": (
        "StreamprocDependencyDown",
        {named("dependency_down", 'dependency="redis"'): "0x39 1x20"},
        "11m15s",
        None,
    ),
    "of next to nothing to nothing": (
        "StreamprocHitRate",
        hits(0, before=12),
        "27h",
        "streamproc: 0% were known, under half of a day ago",
    ),
}
"""What happened, when an alert fires for it, and what it says where that is not its usual: another window hides it."""


@pytest.mark.parametrize("what", OTHERWISE)
def test_what_another_window_or_bound_would_hide_fires(what: str, tmp_path: Path) -> None:
    alert, series, at, summary = OTHERWISE[what]
    expected = [fired(alert, summary)]
    assert "SUCCESS" in judged(CASES[alert], [played(CASES[alert], series, alert, at, expected)], tmp_path)


def test_records_that_nobody_takes_are_no_progress(tmp_path: Path) -> None:
    alert = "StreamprocNoProgress"
    case = replace(CASES[alert], above=lag("61x80", in_flight=0, records=21))
    tests = [played(case, case.above, alert, case.at, [fired(alert)])]
    assert "SUCCESS" in judged(case, tests, tmp_path)


def test_one_worker_that_falls_behind_is_not_hidden_by_others_that_catch_up(tmp_path: Path) -> None:
    alert = "StreamprocLag"
    case = CASES[alert]
    slower = lag("61+0.1x80", instance='job="streamproc",instance="c"')
    series = case.above | lag("3000-10x80", instance=THERE) | slower
    assert "SUCCESS" in judged(case, [played(case, series, alert, case.at, [fired(alert)])], tmp_path)


def test_an_idle_night_does_not_hide_that_less_is_known(tmp_path: Path) -> None:
    alert = "StreamprocHitRate"
    known = {
        named("analyses_total", 'tier="memory"'): "0+200x130 26000x24 26200+200x145 55200+95x40",
        named("analyses_total", 'tier="computed"'): "0+300x130 39000x24 39300+300x145 82800+405x40",
    }
    case = CASES[alert]
    assert "SUCCESS" in judged(case, [played(case, known, alert, case.at, [fired(alert)])], tmp_path)


def test_a_server_is_down_through_the_restarts_of_those_who_wait_for_it(tmp_path: Path) -> None:
    alert = "StreamprocDependencyDown"
    case = CASES[alert]
    series = {named("dependency_down", 'dependency="redis"'): "0 1x1 _ " * 16}
    tests = [played(case, series, alert, at, [fired(alert)]) for at in ("6m", "6m15s", "6m30s", "6m45s")]
    assert "SUCCESS" in judged(case, tests, tmp_path)


def test_that_there_are_no_workers_does_not_end_by_itself_while_there_are_none(tmp_path: Path) -> None:
    alert = "StreamprocNoWorkers"
    case = replace(CASES[alert], step="1m")
    series = {named("ready"): "1x8 stale", named("ready", instance=THERE): "0x16 stale"}
    tests = [played(case, series, alert, at, [fired(alert)]) for at in ("30m", "90m", "20h")]
    assert "SUCCESS" in judged(case, tests, tmp_path)


def test_a_worker_under_another_job_is_missed_too(tmp_path: Path) -> None:
    alert = "StreamprocInstanceDown"
    calls, foreign = 'job="calls",instance="a"', 'job="node",instance="a"'
    series = {named("ready", instance=calls): "1x8 stale", f"up{{{calls}}}": "1x8 0x40", f"up{{{foreign}}}": "0x48"}
    expected = fired(alert)
    expected["exp_labels"]["job"] = "calls"
    expected["exp_annotations"]["summary"] = "a of calls does not answer"
    case = CASES[alert]
    assert "SUCCESS" in judged(case, [played(case, series, alert, "8m", [expected])], tmp_path)


def test_every_alert_leads_to_its_place_in_the_runbook() -> None:
    for name, rule in alerts().items():
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text("utf-8"), re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}, name
