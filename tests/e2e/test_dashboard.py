"""A real Prometheus scrapes a real worker under load: every panel of the dashboard shows something, no rule fails."""

import json
import math
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.corpus import Corpus
from tests.e2e.oracle import Oracle
from tests.e2e.workers import PATIENCE_S, Worker, until
from tests.prometheus import ANSWER_S, scraping
from tools.dashboard.rows import ROWS

RULES = Path(__file__).parents[2] / "infra" / "prometheus" / "streamproc.rules.yml"
GOOD = 12
NOTHING_HERE = ("streamproc_device_memory_bytes", "streamproc_connector", "streamproc_warehouse")
"""Without an accelerator it has 0 of 0 bytes; a worker has no connectors, which are seen with the warehouse."""


def ask(url: str, path: str, **words: str) -> Any:
    answer = httpx2.get(f"{url}/api/v1/{path}", params=words, timeout=ANSWER_S, trust_env=False)
    assert answer.is_success, answer.text
    return answer.json()["data"]


def filled_in(query: str) -> str:
    return query.replace("$__rate_interval", "5m").replace("$job", ".*").replace("$instance", ".*")


def empty(url: str) -> list[str]:
    """Queries of panels that show nothing just now."""
    queries = [query.expr for row in ROWS for panel in row.panels for query in panel.queries]
    return [query for query in queries if not (query_of_nothing(query) or shows(url, query))]


def query_of_nothing(query: str) -> bool:
    return any(name in query for name in NOTHING_HERE)


def shows(url: str, query: str) -> bool:
    found = ask(url, "query", query=filled_in(query))["result"]
    return any(math.isfinite(float(series["value"][1])) for series in found)


@pytest.mark.timeout(3 * PATIENCE_S)
def test_no_panel_is_empty_and_no_rule_fails(oracle: Oracle, corpus: Corpus, worker: Worker, tmp_path: Path) -> None:
    worker.start()
    until(lambda: is_ready(worker), PATIENCE_S, worker.tail)
    (said,) = [line for line in worker.lines() if line.get("event") == "worker starts"]
    target = str(said["url"]).partition("://")[2]
    with scraping(target, RULES, tmp_path) as url:
        until(lambda: bool(ask(url, "query", query="streamproc_ready == 1")["result"]), PATIENCE_S, worker.tail)
        for one in [*corpus.good(GOOD, seed=1), *corpus.good(GOOD, seed=1), *corpus.bad()]:
            oracle.produce(one.value, b"call")
        until(lambda: not empty(url), PATIENCE_S, lambda: "\n".join([*empty(url), worker.tail()]))
        rules = [rule for group in ask(url, "rules")["groups"] for rule in group["rules"]]
        firing = {rule["name"] for rule in rules if rule["type"] == "alerting" and rule["state"] == "firing"}
        assert [rule for rule in rules if rule["health"] != "ok"] == []
        assert "StreamprocInstanceDown" not in firing
    assert worker.stop() == 0, worker.tail()


def is_ready(worker: Worker) -> bool:
    try:
        return bool(json.loads(worker.ask("/readyz"))["ok"])
    except OSError:
        return False
