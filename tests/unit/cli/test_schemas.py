import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.kafka.own_schemas import Registered

THERE = Registered("emotion.results-value", "EmotionResult", "FULL_TRANSITIVE", 12, 3, "FULL_TRANSITIVE", 3)
MISSING = Registered("emotion.segments-value", "EmotionSegment", "FULL_TRANSITIVE", None, None, None)
LAX = replace(THERE, rule="NONE")


LATER = replace(THERE, latest=4)


def run(monkeypatch: pytest.MonkeyPatch, found: list[Registered], *arguments: str) -> tuple[int, str]:
    monkeypatch.setattr("streamproc.kafka.own_schemas.registered_schemas", lambda _client, _topics: found)
    done = CliRunner().invoke(app, ["schemas", *arguments])
    return done.exit_code, done.output


def test_check_ends_well_only_if_the_registry_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    code, told = run(monkeypatch, [THERE], "check")
    assert code == 0
    assert all(text in told for text in ("emotion.results-value", "12", "3", "FULL_TRANSITIVE"))
    code, told = run(monkeypatch, [THERE, MISSING], "check")
    assert code == 1
    assert "missing" in told
    assert "streamproc schemas push" in told


def test_check_ends_well_only_if_the_rule_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    code, told = run(monkeypatch, [THERE, LAX], "check")
    assert code == 1
    assert "NONE instead of FULL_TRANSITIVE" in " ".join(told.split())
    assert "streamproc schemas push" in told


def test_check_tells_of_a_schema_that_came_after_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "look at it" not in run(monkeypatch, [THERE, MISSING], "check")[1]
    code, told = run(monkeypatch, [LATER], "check")
    assert code == 0
    assert "emotion.results-value: version 4 came after this program's 3" in told
    _, told = run(monkeypatch, [replace(MISSING, latest=2)], "check")
    assert "emotion.segments-value: version 2 is of another version of streamproc, or of another program" in told
    assert "adds this version's if the rule allows" in told


def test_no_subject_is_cut_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    long = replace(MISSING, subject="a" * 120)
    assert long.subject in run(monkeypatch, [long], "check")[1]


def test_check_as_json_holds_every_field(monkeypatch: pytest.MonkeyPatch) -> None:
    code, told = run(monkeypatch, [THERE, MISSING], "check", "--json")
    assert code == 1
    assert [one["schema_id"] for one in json.loads(told)] == [12, None]
    assert [one["rule"] for one in json.loads(told)] == ["FULL_TRANSITIVE", None]


def test_a_registry_that_is_away_is_exit_code_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_REGISTRY__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("STREAMPROC_REGISTRY__TIMEOUT_S", "0.3")
    done = CliRunner().invoke(app, ["schemas", "push"])
    assert done.exit_code == 3
    assert "registry.url" in done.output
