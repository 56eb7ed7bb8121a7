from collections.abc import Callable

import pytest
from prometheus_client import generate_latest

from streamproc.errors import DependencyDownError
from streamproc.operate.top import look
from streamproc.operate.top.look import looks
from streamproc.operate.top.scrape import Scrape, read
from streamproc.telemetry.metrics import Metrics


def test_where_none_answers_that_is_said_before_anything_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def scrape(worker: str, _clock: Callable[[], float]) -> Scrape:
        raise DependencyDownError(f"worker {worker}", "refused")

    def wait() -> None:
        pytest.fail("it waits")

    monkeypatch.setattr(look, "scrape", scrape)
    first = next(looks(["a:1", "b:1"], lambda: 0.0, wait))
    assert [text.split()[1] for text in first.missing] == ["a:1", "b:1"]


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
