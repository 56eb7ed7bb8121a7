import json
from collections.abc import Sequence

import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.errors import ExitCode
from streamproc.operate.doctor import checks
from streamproc.operate.doctor.check import Check
from streamproc.operate.doctor.finding import Finding, well, wrong


def bad() -> Finding:
    return wrong("it is [bold]open[/]", "Close it, then run `streamproc doctor` again.", "a detail")


def given(*found: Check) -> object:
    def make(*_: object) -> Sequence[Check]:
        return found

    return make


GOOD = Check("door", "?", lambda: well("it is shut"), "")
BAD = Check("window", "?", bad, "")


def test_all_well_ends_with_0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "checks", given(GOOD))
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == ExitCode.DONE
    assert done.stdout.splitlines()[0] == "well      door: it is shut"
    assert "Nothing is wrong" in done.stdout


def test_something_wrong_ends_with_1_and_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "checks", given(GOOD, BAD))
    done = CliRunner().invoke(app, ["doctor"])
    assert done.exit_code == ExitCode.OTHER
    assert done.stdout.splitlines()[1:] == [
        "wrong     window: it is [bold]open[/]. Close it, then run `streamproc doctor` again.",
        "          a detail",
        "1 wrong",
    ]


def test_json_has_an_object_for_each_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "checks", given(GOOD, BAD))
    done = CliRunner().invoke(app, ["doctor", "--json"])
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["check"], one["verdict"]) for one in said] == [("door", "well"), ("window", "wrong")]
    assert said[1]["details"] == ["a detail"]


def test_wrong_use_and_settings_end_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CliRunner().invoke(app, ["doctor", "--grace", "-1"]).exit_code == ExitCode.USAGE
    monkeypatch.setenv("STREAMPROC_FLOW__DRAIN_S", "1")
    assert CliRunner().invoke(app, ["doctor"]).exit_code == ExitCode.USAGE
