"""A report of what a real Prometheus keeps of two hours: several workers, one started again, one seen late."""

import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby, pairwise
from operator import itemgetter

import pytest

from streamproc.operate.report.report import Report
from streamproc.operate.report.scraped import report
from streamproc.settings import PrometheusSettings
from tests.prometheus import ANSWER_S, program, scraping

SCRAPE_S = 15
HOUR_S = 3600
LONG_AGO_S = 10 * HOUR_S
FINAL_S = HOUR_S // 2
"""Before the end: a worker is started again."""
LATE_S = HOUR_S // 3
"""Before the end: a worker is seen for the first time."""

RECORDS, RESPONSE = ("streamproc_records", "counter"), ("streamproc_response_seconds", "histogram")
DEAD = 'streamproc_dead_letters_total{{{},reason="decode_failed"}}'

Told = tuple[tuple[str, str], str, range, Callable[[int], int]]
"""A family and its kind, a series, when it is seen, and what it says then."""


@pytest.fixture(scope="module")
def end_s() -> int:
    return int(time.time()) // SCRAPE_S * SCRAPE_S - 60


@pytest.fixture(scope="module")
def history(end_s: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "rules.yml").write_text("groups: []\n")
    text = "".join(f"{line}\n" for line in [*lines(end_s), "# EOF"])
    (folder / "history.om").write_text(text)
    paths = [str(folder / name) for name in ("history.om", "data")]
    command = [str(program("promtool")), "tsdb", "create-blocks-from", "openmetrics", *paths]
    subprocess.run(command, check=True, capture_output=True, timeout=ANSWER_S)
    with scraping("127.0.0.1:1", folder / "rules.yml", folder) as url:
        yield url


def lines(end_s: int) -> Iterator[str]:
    """Of each metric together, as the format wants it."""
    for (family, kind), some in groupby(sorted(told(end_s), key=itemgetter(0)), itemgetter(0)):
        yield f"# TYPE {family} {kind}"
        for _, series, times, count in some:
            yield from (f"{series} {count(at)} {at}" for at in times)


def told(end_s: int) -> Iterator[Told]:
    """What each worker says."""
    steady = range(end_s - 2 * HOUR_S - 60, end_s + 1, SCRAPE_S)
    late = range(end_s - LATE_S, end_s + 1, SCRAPE_S)
    middle_s, final_s = end_s - HOUR_S, end_s - FINAL_S
    before_s = end_s - LONG_AGO_S

    def once_then_twice(at: int) -> int:
        return 1000 + (at - steady[0]) // SCRAPE_S + max(0, at - middle_s) // SCRAPE_S

    def dead(at: int) -> int:
        return max(0, at - middle_s) // (10 * SCRAPE_S)

    one, two, other = 'job="a",instance="one"', 'job="a",instance="two"', 'job="b",instance="one"'
    yield from worker(one, steady, lambda _: before_s, once_then_twice)
    yield from worker(
        two,
        steady,
        lambda at: final_s if at >= final_s else before_s,
        lambda at: (at - final_s if at >= final_s else at - steady[0]) // SCRAPE_S,
    )
    yield from worker(other, late, lambda _: before_s, lambda at: 5000 + (at - late[0]) // SCRAPE_S)
    yield RECORDS, f'streamproc_records_total{{{one},outcome="dead_letter"}}', steady, dead
    yield ("streamproc_dead_letters", "counter"), DEAD.format(one), steady, dead
    for bound, share in (("5.0", 0), ("10.0", 1), ("+Inf", 1)):
        count = partial(times_of, share, once_then_twice)
        yield RESPONSE, f'streamproc_response_seconds_bucket{{{one},le="{bound}"}}', steady, count
    yield RESPONSE, f"streamproc_response_seconds_count{{{one}}}", steady, once_then_twice
    yield RESPONSE, f"streamproc_response_seconds_sum{{{one}}}", steady, partial(times_of, 6, once_then_twice)


def worker(labels: str, times: range, began: Callable[[int], int], results: Callable[[int], int]) -> Iterator[Told]:
    yield ("process_start_time_seconds", "gauge"), f"process_start_time_seconds{{{labels}}}", times, began
    yield ("streamproc_ready", "gauge"), f"streamproc_ready{{{labels}}}", times, lambda _: 1
    yield RECORDS, f'streamproc_records_total{{{labels},outcome="result"}}', times, results
    yield ("streamproc_analyses", "counter"), f'streamproc_analyses_total{{{labels},tier="computed"}}', times, results


def times_of(factor: int, count: Callable[[int], int], at: int) -> int:
    return factor * count(at)


def asked(url: str, end_s: int, job: str | None) -> Report:
    period = ((end_s - HOUR_S) * 1000, end_s * 1000)
    return report(PrometheusSettings(), url, job, period, lambda *_: None)


def test_both_periods_are_counted_over_restarts(history: str, end_s: int) -> None:
    found = asked(history, end_s, "a")
    an_hour = HOUR_S // SCRAPE_S
    assert found.now.results == pytest.approx(2 * an_hour + an_hour, abs=1)
    assert found.before.results == 2 * an_hour
    assert (found.now.dead_letters, found.now.reasons) == (an_hour // 10, {"decode_failed": an_hour // 10})
    assert (found.before.dead_letters, found.before.reasons) == (0, {})
    assert any("1 times a worker was started again" in note for note in found.notes)
    assert not any("jobs together" in note or "before Prometheus saw" in note for note in found.notes)


def test_times_are_a_mean_and_places_within_a_bucket_and_what_is_slow_is_said(history: str, end_s: int) -> None:
    found = asked(history, end_s, "a")
    assert found.now.response is not None
    assert found.now.response.mean == pytest.approx(6)
    assert found.now.response.p50 == pytest.approx(7.5)
    assert any("the mean response time is 6.0 s, over 5 s" in line for line in found.anomalies)
    assert any("of a reason that the period before had not: decode_failed" in line for line in found.anomalies)


def test_jobs_together_are_named_and_so_is_what_was_not_seen(history: str, end_s: int) -> None:
    found = asked(history, end_s, None)
    assert any("2 jobs together, of which --job takes one: a, b" in note for note in found.notes)
    assert any("1 workers worked before Prometheus saw them" in note for note in found.notes)
    alone = asked(history, end_s, "b")
    assert alone.now.results == pytest.approx(LATE_S / SCRAPE_S, abs=2)
    assert (alone.before.results, alone.now.response) == (0, None)
    assert any("Prometheus saw its first worker between" in note for note in alone.notes)


def test_parts_are_in_order_and_come_to_the_whole(history: str, end_s: int) -> None:
    found = asked(history, end_s, "a").now
    assert all(one.begin_ms < other.begin_ms for one, other in pairwise(found.parts))
    assert (found.parts[0].begin_ms, len(found.parts)) == (found.begin_ms, 48)
    assert sum(part.results for part in found.parts) == pytest.approx(found.results, abs=1)
    assert {part.response_s for part in found.parts} == {6.0}
