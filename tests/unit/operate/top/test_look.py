from collections.abc import Callable

import pytest
from prometheus_client import generate_latest

from streamproc.errors import DependencyDownError
from streamproc.operate.top import look
from streamproc.operate.top.look import looks
from streamproc.operate.top.scrape import Scrape, read
from streamproc.telemetry.metrics import Metrics


def test_a_worker_that_answers_since_this_look_is_named_and_is_a_line_at_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = iter(range(10))
    there = {"a:1"}

    def scrape(worker: str, clock: Callable[[], float]) -> Scrape:
        if worker not in there:
            raise DependencyDownError(f"worker {worker}", "refused")
        return Scrape(worker, clock(), read(generate_latest(Metrics().registry).decode()))

    monkeypatch.setattr(look, "scrape", scrape)
    views = looks(["a:1", "b:1"], lambda: next(times), lambda: there.add("b:1"))
    first, second = next(views), next(views)
    assert [one.worker for one in first.workers] == ["a:1"]
    assert first.missing == ("worker b:1 answers since this look: its rates take one more",)
    assert [one.worker for one in second.workers] == ["a:1", "b:1"]
    assert second.missing == ()
