"""What more workers bring."""

import io
import json
from datetime import UTC, datetime

import pytest
from rich.console import Console

from streamproc.bench.scale import Busy, ScaleFigures, ScaleReport, figures
from streamproc.bench.scale_show import scale_json, show_scale
from streamproc.bench.stretch import UntrueRunError
from tests.unit.bench.made import MACHINE

NOON = datetime(2030, 1, 31, 12, tzinfo=UTC).timestamp()
BEFORE, AFTER = Busy(NOON, 1.0, 2.0, 100.0), Busy(NOON + 4, 5.0, 4.0, 107.0)


def line(second: int) -> dict[str, object]:
    return {"at": f"2030-01-31T12:00:{second:02}.500000Z", "records": 250}


def test_the_rate_is_of_all_workers_from_the_first_sent_to_the_last_commit() -> None:
    found = figures(2, 1000, BEFORE, AFTER, [line(1), line(3), line(0), line(2)])  # worker by worker, not in order
    assert found.events_per_s == pytest.approx(1000 / 3.5)
    assert found.cpu_ms_per_event == pytest.approx(6.0)


def test_cores_are_processor_seconds_over_time() -> None:
    found = figures(2, 1000, BEFORE, AFTER, [line(0), line(1)])
    assert (found.main_cores, found.workers_cores, found.machine_cores) == (0.5, 1.5, 1.75)


def test_without_a_commit_there_is_no_rate() -> None:
    with pytest.raises(UntrueRunError, match="no rate"):
        figures(1, 400, BEFORE, AFTER, [])


def test_a_report_says_what_more_workers_bring() -> None:
    counts = [ScaleFigures(1, 500.0, 3.0, 0.8, 1.4, 1.9), ScaleFigures(2, 550.0, 3.1, 0.5, 1.5, 2.0)]
    report = ScaleReport(MACHINE, "wav", 400, counts)
    out = io.StringIO()
    show_scale(report, Console(file=out, width=80))
    assert "550" in out.getvalue()
    assert "1.10" in out.getvalue()
    document = json.loads(json.dumps(scale_json(report)))
    assert [one["over_first"] for one in document["counts"]] == pytest.approx([1.0, 1.1])
    assert [one["cpu_over_first"] for one in document["counts"]] == pytest.approx([1.0, 3.1 / 3.0])
