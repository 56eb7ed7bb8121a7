import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from streamproc.bench.busy import BusyReport, SpeedFigures
from streamproc.bench.busy_show import busy_json, show_busy
from streamproc.bench.floor import Cost
from streamproc.bench.fresh import FormatFigures, FreshReport
from streamproc.bench.fresh_show import fresh_json, show_fresh
from streamproc.bench.played import Latency
from streamproc.bench.quiet import QuietFigures, QuietReport, by_stage
from streamproc.bench.quiet_show import quiet_json, show_quiet
from streamproc.bench.recorded import FORMATS, bodies
from streamproc.bench.stretch import Figures
from streamproc.bench.timeline import Span, picture, spans, steps
from tests.unit.bench.made import MACHINE

TRACE = """\
to fetch\t1\t0\t10.0
to fetch\t1\t1\t10.1
fetched\t1\t0\t10.5
fetched\t1\t1\t11.0
to prepare\t1\t0\t10.5
prepared\t1\t0\t11.5
computed\t1\t0\t13.0
to fetch\t2\t0\t11.0
fetched\t2\t0\t12.0
settled\t1\t0\t13.0
settled\t1\t1\t14.0
committed\t1\t-1\t14.5
""".splitlines()
FOUND = [
    Span(1, "fetch", 0.0, 1.0),
    Span(1, "prepare", 0.5, 1.5),
    Span(1, "infer", 1.5, 3.0),
    Span(1, "commit", 4.0, 4.5),
    Span(2, "fetch", 1.0, 2.0),
]


def test_a_stage_lasts_from_its_first_record_to_its_last() -> None:
    assert spans(TRACE) == FOUND


def test_a_record_s_steps_follow_each_other_and_end_with_its_commit() -> None:
    first, second, other = steps(TRACE)
    assert first == {
        "fetched": 0.5,
        "to prepare": 0.0,
        "prepared": 1.0,
        "computed": 1.5,
        "settled": 0.0,
        "committed": 1.5,
    }
    assert second == pytest.approx({"fetched": 0.9, "settled": 3.0, "committed": 0.5})
    assert other == {"fetched": 1.0}, "it is not committed yet"


def test_stages_are_summed_up_over_the_records_that_came_to_them() -> None:
    found = by_stage([{"fetched": 0.01, "committed": 0.02}, {"fetched": 0.03}])
    assert list(found) == ["fetched", "committed"]
    assert found["fetched"].mean == pytest.approx(20)
    assert found["committed"].p99 == pytest.approx(20)


def quiet_report() -> QuietReport:
    spent = Latency(80.0, 70.0, 110.0, 130.0)
    return QuietReport(MACHINE, 50, 10.0, 50.0, [QuietFigures("new", spent, {"fetched": Latency(5.0, 4.0, 9.0, 11.0)})])


def test_latency_is_shown_as_a_whole_and_by_stage() -> None:
    out = io.StringIO()
    show_quiet(quiet_report(), Console(file=out, width=80))
    text = " ".join(out.getvalue().split())
    assert "new: whole 80.0 70.0 110.0 130.0 until fetched 5.0 4.0 9.0 11.0" in text
    assert "gathers for 50 ms" in text
    [new] = json.loads(json.dumps(quiet_json(quiet_report())))["kinds"]
    assert (new["whole"]["p50"], new["p50_over_linger"], new["p99_over_linger"]) == (70.0, 1.4, 2.6)


def test_nothing_that_was_written_down_is_no_timeline() -> None:
    assert spans([]) == []
    assert list(picture([], 80)) == []


def test_what_is_no_line_of_a_trace_is_refused() -> None:
    with pytest.raises(ValueError, match="unpack"):
        spans(["fetched 1 0 10.0"])


def test_bars_that_stand_above_each_other_are_at_the_same_time() -> None:
    lines = list(picture(FOUND, 15 + 45))  # ten columns a second
    assert lines[0] == "    1 fetch    " + "█" * 10
    assert lines[3] == "    1 commit   " + " " * 40 + "█" * 5
    assert lines[4] == "    2 fetch    " + " " * 10 + "█" * 10
    assert lines[-1].split() == ["0", "s", "4.50", "s"]
    assert max(map(len, lines)) <= 60


def busy_report() -> BusyReport:
    return BusyReport(MACHINE, 300, 32, [SpeedFigures(1_000, 2.0, 1.5, FOUND)])


def test_the_share_of_the_devices_time_is_shown_with_the_picture() -> None:
    out = io.StringIO()
    show_busy(busy_report(), Console(file=out, width=80))
    assert ["1000", "150", "2.00", "1.50", "75.0%"] in [line.split() for line in out.getvalue().splitlines()]
    assert "    1 infer" in out.getvalue()
    assert json.loads(json.dumps(busy_json(busy_report())))["speeds"][0]["busy"] == 0.75


def fresh_report() -> FreshReport:
    worker = Figures(500, 5.0, 100.0, 1.5, 4, 125.0, 30.0)
    floor = [Cost("consume", 0.1, 0.25), Cost("GET", 0.5, 0.5), Cost("audio", 0.5, 0.5)]
    one = FormatFigures("wav", 160_044, worker, 2.5, floor)
    return FreshReport(MACHINE, [one, replace(one, format="mp3", bytes=20_000)])


def test_formats_are_shown_side_by_side_with_each_part_of_the_floor() -> None:
    out = io.StringIO()
    show_fresh(fresh_report(), Console(file=out, width=80))
    text = " ".join(out.getvalue().split())
    assert "worker, main process 1.500 1.500 worker, decoders and device 2.500 2.500" in text
    assert "floor: GET 1.000 1.000" in text
    assert "ratio, worker to floor 1.60 1.60" in text
    assert "KB of a recording 160 20" in text
    assert json.loads(json.dumps(fresh_json(fresh_report())))["formats"][0]["cpu_ratio"] == 1.6


@pytest.mark.parametrize("kind", FORMATS)
def test_no_two_recordings_are_the_same_and_each_is_the_same_again(kind: str) -> None:
    first = list(bodies(kind, 5, seconds=0.5))
    assert len(set(first)) == 5
    if kind != "opus":  # its container has a serial number that is drawn
        assert list(bodies(kind, 5, seconds=0.5)) == first
