"""One run of a real worker, reported from the topics and from a Prometheus that scraped it: the same totals."""

import json
import re
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.operate.report import read, scraped
from streamproc.operate.report.period import Period
from streamproc.operate.report.report import Source
from streamproc.settings import Settings
from tests.e2e.corpus import Corpus
from tests.e2e.oracle import Oracle
from tests.e2e.test_dashboard import RULES, ask, is_ready
from tests.e2e.workers import PATIENCE_S, Worker, until
from tests.prometheus import scraping

GOOD = 12
HOUR_MS = 3_600_000


def unheard(_name: str, _text: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


def value(worker: Worker, series: str) -> float:
    found = re.search(rf"^{re.escape(series)} (\S+)$", worker.ask("/metrics"), re.MULTILINE)
    assert found, series
    return float(found[1])


@pytest.mark.timeout(4 * PATIENCE_S)
def test_both_sources_tell_of_the_same_run(
    own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.start()
    until(lambda: is_ready(worker), PATIENCE_S, worker.tail)
    (said,) = [line for line in worker.lines() if line.get("event") == "worker starts"]
    with scraping(str(said["url"]).partition("://")[2], RULES, tmp_path) as url:
        until(lambda: bool(ask(url, "query", query="streamproc_ready == 1")["result"]), PATIENCE_S, worker.tail)
        sent = [*corpus.good(GOOD, seed=1), *corpus.good(GOOD, seed=1), *corpus.bad()]
        for one in sent:
            oracle.produce(one.value, b"call")
        until(lambda: oracle.position(own.kafka.group) >= len(sent), PATIENCE_S, worker.tail)
        counted = sum(
            value(worker, f'streamproc_records_total{{outcome="{end}"}}') for end in ("result", "dead_letter")
        )
        seen = 'sum(streamproc_records_total{outcome=~"result|dead_letter"})'
        until(lambda: float(ask(url, "query", query=seen)["result"][0]["value"][1]) == counted, PATIENCE_S, worker.tail)
        end_ms = time.time_ns() // 1_000_000 + 1
        topics = read.report(own, end_ms - HOUR_MS, end_ms, unheard)
        period = (end_ms - HOUR_MS, end_ms)
        found = scraped.report(own.prometheus, url, "streamproc", period, unheard)
        commits_s = value(worker, "streamproc_commit_seconds_sum")
        monkeypatch.setattr("streamproc.cli.report.load_settings", lambda: own)
        done = CliRunner().invoke(app, ["report", "--last", "1h", "--prometheus", url, "--json"])
        assert worker.stop() == 0, worker.tail()
        check_what_is_left(own, url, topics.now)
    assert (found.source, topics.source) == (Source.PROMETHEUS, Source.TOPICS)
    same(found.now, topics.now, commits_s)
    assert found.before.ended == topics.before.ended == 0
    assert (found.now.labels, found.now.statuses, found.now.processing, found.now.unknown) == (None, None, None, None)
    assert "statuses, labels and processing times are not known" in found.notes[0]
    assert json.loads(done.stdout)["now"]["results"] == topics.now.results


def same(found: Period, topics: Period, commits_s: float) -> None:
    """All that both know. Response ends where a record is written in one, where it is committed in the other."""
    for name in ("results", "dead_letters", "reasons", "tiers", "error_rate", "hit_rate"):
        assert getattr(found, name) == getattr(topics, name), name
    assert topics.results > GOOD
    assert topics.dead_letters > 1
    assert found.audio_s == pytest.approx(topics.audio_s, abs=0.01)
    assert found.response is not None
    assert topics.response is not None
    assert -0.01 <= found.response.mean - topics.response.mean <= commits_s
    for ends in ("results", "dead_letters"):
        assert sum(getattr(part, ends) for part in found.parts) == getattr(topics, ends)


def check_what_is_left(own: Settings, url: str, topics: Period) -> None:
    """A worker that is gone was there: what it did stays in the report."""
    end_ms = time.time_ns() // 1_000_000
    found = scraped.report(own.prometheus, url, None, (end_ms - HOUR_MS, end_ms), unheard)
    assert (found.now.results, found.now.dead_letters) == (topics.results, topics.dead_letters)
