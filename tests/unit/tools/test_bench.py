"""The figures of the benchmarks, and the bounds that their ratios are held to."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamproc.bench.machine import look
from tools.bench import __main__ as tool
from tools.bench.bounds import BOUNDS, Figure, NoBoundsError, Subject, read_bounds
from tools.bench.figure import NoFigureError, number
from tools.bench.measured import Measured, cells, measured
from tools.bench.report import write_report

DOCUMENT = {"peers": [{"name": "a", "ratio": {"middle": 2.0}}, {"name": "b", "ratio": {"middle": 3}}], "of": 0.5}


def one(value: float, **sides: float | bool) -> Measured:
    """A figure that was measured once."""
    subject = Subject(options=[], figures=[Figure.model_validate({"name": "x", "path": ["v"], **sides})])
    return next(measured({"s": subject}, {"s": [{"v": value}]}))


def test_a_path_goes_through_fields_and_picks_from_lists() -> None:
    assert number(DOCUMENT, ["of"]) == 0.5
    assert number(DOCUMENT, ["peers", {"name": "b"}, "ratio", "middle"]) == 3


@pytest.mark.parametrize(
    "path", [["gone"], ["peers", {"name": "c"}, "ratio"], ["peers"], ["of", "deeper"], ["of", {"name": "a"}]]
)
def test_a_path_that_leads_to_no_number_says_where_it_ends(path: list[str | dict[str, str | float]]) -> None:
    with pytest.raises(NoFigureError, match=r"there is nothing at|is no number"):
        number(DOCUMENT, path)


def test_a_ratio_is_held_on_its_side() -> None:
    assert [one(value, at_least=1.0).held for value in (0.99, 1.0, 1.01)] == [False, True, True]
    assert [one(value, at_most=1.0).held for value in (0.99, 1.0, 1.01)] == [True, True, False]
    assert one(1e9).held


def test_a_goal_that_is_missed_is_told_and_breaks_nothing() -> None:
    assert cells(one(2.0, at_most=2.5, goal=1.5))[-1] == "goal missed"
    assert cells(one(1.4, at_most=2.5, goal=1.5))[-1] == "goal reached"
    assert cells(one(0.9, at_least=0.8, goal=1.0))[-1] == "goal missed"
    assert cells(one(3.0, at_most=2.5, goal=1.5))[-1] == "fell back"
    assert [cells(one(value, goal=1.5, less=True))[-1] for value in (1.4, 1.6)] == ["goal reached", "goal missed"]
    assert cells(one(3.0))[-1] == ""


def test_large_values_are_told_whole() -> None:
    subject = Subject(options=[], figures=[Figure(name="x", path=["v"])])
    (found,) = measured({"s": subject}, {"s": [{"v": 2_371.2}, {"v": 999.4}, {"v": 12_345.6}]})
    assert cells(found)[2] == "2,371 (999 to 12,346)"


def test_the_middle_of_the_runs_is_judged() -> None:
    subject = Subject(options=[], figures=[Figure(name="x", path=["v"], at_least=1.0)])
    (found,) = measured({"s": subject}, {"s": [{"v": 0.2}, {"v": 1.1}, {"v": 1.2}]})
    assert found.held
    assert cells(found)[2] == "1.1 (0.2 to 1.2)"


def test_what_is_optional_and_was_not_measured_is_left_out() -> None:
    """As a peer that is not installed everywhere."""
    gone = Figure(name="gone", path=["gone"], optional=True)
    subject = Subject(options=[], figures=[gone, Figure(name="there", path=["there"])])
    assert [one.figure.name for one in measured({"s": subject}, {"s": [{"there": 1}]})] == ["there"]
    with pytest.raises(NoFigureError):
        list(measured({"s": subject}, {"s": [{"gone": 1}]}))


def test_the_bounds_of_the_repository_name_benchmarks_that_there_are() -> None:
    subjects = read_bounds(BOUNDS)
    assert set(subjects) == {
        "engine",
        "cold",
        "pipeline",
        "fresh",
        "scale",
        "device",
        "latency",
        "memory",
        "delivery",
        "peers",
    }
    for subject in subjects.values():
        for figure in subject.figures:
            assert figure.why or (figure.at_least is figure.at_most is figure.goal is None), figure.name


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        '{"s": {"options": [], "figures": [{"name": "x", "path": [], "at_least": 1}]}}',
        '{"s": {"options": [], "figures": [{"name": "x", "path": ["v"], "at_least": 1, "at_most": 2}]}}',
        '{"s": {"options": [], "figures": [{"name": "x", "path": ["v"], "atleast": 1}]}}',
    ],
)
def test_bounds_that_make_no_sense_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bounds.json"
    path.write_text(text)
    with pytest.raises(NoBoundsError, match=r"bounds\.json cannot be read"):
        read_bounds(path)


@pytest.mark.parametrize(("value", "status"), [(1.5, 0), (0.5, 1)])
def test_a_ratio_that_fell_back_ends_the_command_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: float, status: int
) -> None:
    bounds, report = tmp_path / "bounds.json", tmp_path / "bench.md"
    figure = {"name": "ours over theirs", "path": ["ratio"], "at_least": 1, "why": "seen"}
    bounds.write_text(json.dumps({"engine": {"options": [], "figures": [figure]}}))
    machine = asdict(look(("torch",)))
    monkeypatch.setattr(tool, "_run", lambda _name, _subject: {"ratio": value, "machine": machine})
    done = CliRunner().invoke(tool.app, ["--bounds", str(bounds), "--report", str(report)])
    assert done.exit_code == status
    assert f"| engine | ours over theirs | {value} | at least 1 |" in report.read_text()


def test_a_benchmark_that_cannot_be_run_ends_the_command_with_2(tmp_path: Path) -> None:
    bounds = tmp_path / "bounds.json"
    bounds.write_text('{"nothing-like-it": {"options": [], "figures": []}}')
    done = CliRunner().invoke(tool.app, ["--bounds", str(bounds)])
    assert done.exit_code == 2
    assert "streamproc bench nothing-like-it ended with status 2" in done.output


def test_what_others_told_is_kept_when_one_cannot_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "told.py").write_text(f"print({json.dumps({'ratio': 3, 'machine': asdict(look(()))})!r})")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    bounds, report = tmp_path / "bounds.json", tmp_path / "bench.md"
    figure = {"name": "ours over theirs", "path": ["ratio"], "at_least": 1, "why": "seen"}
    told = {"module": "told", "options": [], "figures": [figure]}
    bounds.write_text(json.dumps({"gone": told | {"module": "no_such_module"}, "told": told}))
    done = CliRunner().invoke(tool.app, ["--bounds", str(bounds), "--report", str(report), "--rounds", "2"])
    assert done.exit_code == 2
    assert done.output.count("no_such_module ended with status 1") == 2
    assert "| told | ours over theirs | 3 | at least 1 |" in report.read_text()


def test_what_others_told_is_kept_when_one_lacks_a_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a peer that is not installed here."""
    bounds, report = tmp_path / "bounds.json", tmp_path / "bench.md"
    subjects = {name: {"options": [], "figures": [{"name": name, "path": [name]}]} for name in ("gone", "there")}
    bounds.write_text(json.dumps(subjects))
    machine = asdict(look(("torch",)))
    monkeypatch.setattr(tool, "_run", lambda _name, _subject: {"there": 3, "machine": machine})
    done = CliRunner().invoke(tool.app, ["--bounds", str(bounds), "--report", str(report)])
    assert done.exit_code == 2
    assert "error: gone: " in done.output
    assert "| there | there | 3 |" in report.read_text()


def test_a_benchmark_that_stands_alone_is_run_by_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "alone.py").write_text("import json, sys; print(json.dumps({'argv': sys.argv[1:]}))")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert tool._run("any", Subject(module="alone", options=["--only", "a"], figures=[])) == {
        "argv": ["--only", "a", "--json"]
    }


def test_a_report_names_the_machine_and_every_load(tmp_path: Path) -> None:
    path = tmp_path / "bench.md"
    machines = [asdict(look(("torch",))) | {"load": load} for load in (0.1, 4.2)]
    write_report(path, [one(2.0, at_most=2.5, goal=1.5)], machines, datetime(2026, 11, 22, tzinfo=UTC))
    text = path.read_text()
    assert "22 November 2026" in text
    assert "Load before each run: 0.1, 4.2." in text
    assert "| s | x | 2 | at most 2.5 | 1.5 | goal missed |" in text
