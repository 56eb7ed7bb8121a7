import json
import sys
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from streamproc.analytics.rebuild import Report
from streamproc.cli.app import app
from streamproc.errors import Fatal, FatalError, UsageError
from streamproc.settings import Settings

run = CliRunner()


def report(trends: int, *, written: bool) -> Report:
    return Report(1000, 70, 3, trends, 0, written, {"late": 2, "repeated": 5}, 4, 1.25, ("one of them",))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether it was a dry run, each time; the first finds two rows that differ."""
    calls: list[bool] = []

    def rebuild(_settings: Settings, *, dry_run: bool) -> Report:
        calls.append(dry_run)
        differing = 0 if len(calls) > 1 else 2
        return report(differing, written=bool(differing) and not dry_run)

    monkeypatch.setattr("streamproc.analytics.rebuild.rebuild", rebuild)
    return calls


def test_a_dry_run_that_finds_a_difference_is_exit_code_1(asked: list[bool]) -> None:
    done = run.invoke(app, ["analytics", "rebuild", "--dry-run"])
    assert (done.exit_code, asked) == (1, [True])
    assert "1000 rows read in 1.2 s; left out: 2 late, 5 repeated" in done.stdout
    assert "70 windows, 3 alerts raised; 4 windows not compared, since rows of theirs are gone" in done.stdout
    assert "2 trends and 0 alerts differ from what readers have (not written)\n  one of them\n" in done.stdout
    assert run.invoke(app, ["analytics", "rebuild", "--dry-run"]).exit_code == 0


def test_where_nothing_differs_nothing_is_said_of_writing(asked: list[bool]) -> None:
    asked.append(True)
    done = run.invoke(app, ["analytics", "rebuild"])
    assert "0 trends and 0 alerts differ from what readers have\n" in done.stdout


def test_other_settings_than_those_of_the_app_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = ("analytics.alert_support is 5 there and 20 here",)
    found = replace(report(2, written=True), changed=changed)
    monkeypatch.setattr("streamproc.analytics.rebuild.rebuild", lambda *_, **__: found)
    done = run.invoke(app, ["analytics", "rebuild"])
    assert done.stdout.startswith(f"the group ran last with other settings: {changed[0]}\n")


def test_misspelt_labels_and_foreign_records_come_before_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    found = replace(report(0, written=False), unknown_labels=("angri",), passed=("not rows of ours: 3 of trends",))
    monkeypatch.setattr("streamproc.analytics.rebuild.rebuild", lambda *_, **__: found)
    done = run.invoke(app, ["analytics", "rebuild"])
    assert done.stdout.startswith(
        "labels that the published model does not have: angri (analytics.negative_labels)\n"
        "not rows of ours: 3 of trends\n1000 rows"
    )


def test_what_differs_is_written_and_exit_code_0(asked: list[bool]) -> None:
    done = run.invoke(app, ["analytics", "rebuild", "--json"])
    assert (done.exit_code, asked) == (0, [False])
    told = json.loads(done.stdout)
    assert (told["differing"], told["written"], told["left_out"]) == (2, True, {"late": 2, "repeated": 5})


def test_without_faust_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faust", None)
    done = run.invoke(app, ["analytics"])
    assert done.exit_code == UsageError.exit_code
    assert "pip install '.[analytics]'" in done.stderr


def test_the_app_teaches_by_an_example() -> None:
    assert (
        "Example: STREAMPROC_ANALYTICS__PORT=9475 streamproc analytics" in run.invoke(app, ["analytics", "-h"]).output
    )


def test_an_end_that_nobody_watches_is_a_line_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends(*_: object) -> None:
        raise FatalError("it ended", Fatal.REFUSED)

    monkeypatch.setattr("streamproc.cli.analytics._installed", lambda: None)
    monkeypatch.setattr("streamproc.analytics.run.run_analytics", ends)
    done = run.invoke(app, ["analytics"])
    assert done.exit_code == FatalError.exit_code
    (line,) = [json.loads(line) for line in done.stderr.splitlines() if "ended" in line]
    assert (line["event"], line["cause"]) == ("analytics ended", "refused")
    assert line["detail"].startswith("it ended. Start it again; nothing is lost")
