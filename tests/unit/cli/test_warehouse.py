import json
from datetime import datetime
from decimal import Decimal

import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.operate.warehouse.answer import Answer
from streamproc.operate.warehouse.questions import questions


@pytest.mark.parametrize("words", [["warehouse", "ask"], ["demo", "--warehouse"]])
def test_without_the_client_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", {"psycopg": None}.__getitem__)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "pip install 'streamproc[warehouse]'" in done.output


def test_a_warehouse_that_is_away_is_exit_code_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_WAREHOUSE__ADDRESS", "127.0.0.1:1")
    done = CliRunner().invoke(app, ["warehouse", "ask", "dead"])
    assert done.exit_code == 3
    assert "`streamproc up --with warehouse` starts" in done.output
    assert "warehouse.address" in done.output


def test_a_question_that_nobody_has_is_exit_code_2() -> None:
    done = CliRunner().invoke(app, ["warehouse", "ask", "happy"])
    assert done.exit_code == 2
    assert "angry, turned, coverage, slowest, dead" in done.output


@pytest.mark.parametrize(
    "words", [["connect", "apply"], ["connect", "status"], ["connect", "reread", "emotion-results"]]
)
def test_a_connect_that_is_away_is_exit_code_3(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setenv("STREAMPROC_CONNECT__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("STREAMPROC_REGISTRY__URL", "http://127.0.0.1:1/apis/ccompat/v7")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 3
    assert "connect.url" in done.output
    assert "`streamproc up --with warehouse` starts" in done.output


@pytest.mark.parametrize(
    "words",
    [
        ["connect", "apply"],
        ["connect", "status"],
        ["connect", "reread", "emotion-results"],
        ["connect", "skip", "emotion-results", "emotion.results/0/1"],
        ["connect", "remove"],
        ["connect", "remove", "old-emotion-results"],
    ],
)
def test_before_up_it_is_said_that_connect_does_not_answer(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setenv("STREAMPROC_CONNECT__URL", "http://127.0.0.1:1")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 3
    assert "connect.url" in done.output
    assert "registry" not in done.output


def test_as_json_numbers_are_numbers_and_times_are_iso_8601(monkeypatch: pytest.MonkeyPatch) -> None:
    row = (datetime(2026, 1, 2, 3), "phone", 2, Decimal("0.500"), None)  # noqa: DTZ001  # as the table has it
    answer = Answer(questions(["angry"])[0], ("hour", "queue", "labelled", "share", "nothing"), (row,))
    monkeypatch.setattr("streamproc.operate.warehouse.questions.ask", lambda _settings, _names: [answer])
    done = CliRunner().invoke(app, ["warehouse", "ask", "angry", "--json"])
    assert json.loads(done.output) == {
        "question": "angry",
        "rows": [{"hour": "2026-01-02T03:00:00", "queue": "phone", "labelled": 2, "share": 0.5, "nothing": None}],
        "missing": None,
    }


def test_ctrl_c_in_reread_says_what_becomes_of_the_connector(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("streamproc.operate.warehouse.reread.read_again", interrupted)
    done = CliRunner().invoke(app, ["connect", "reread", "emotion-results"])
    assert done.exit_code == 130
    assert "`streamproc connect reread emotion-results` begins again" in done.output


def test_a_schema_of_postgresql_that_cannot_be_is_refused_by_what_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_WAREHOUSE__NAMESPACE", 'public"; drop')
    done = CliRunner().invoke(app, ["warehouse", "ask"])
    assert done.exit_code == 2
    assert "a-z, 0-9 and _, no digit first" in done.output


def asked(monkeypatch: pytest.MonkeyPatch, *words: str) -> list[str]:
    """The lines of answers that say which question they are of, and hold one long word."""

    def answers(_settings: object, names: list[str]) -> list[Answer]:
        return [Answer(one, ("key", "more"), (("x" * 75, "y" * 75),)) for one in questions(names)]

    monkeypatch.setattr("streamproc.operate.warehouse.questions.ask", answers)
    done = CliRunner().invoke(app, ["warehouse", "ask", *words])
    assert done.exit_code == 0
    return [line.rstrip() for line in done.output.splitlines()]


def test_what_no_terminal_shows_is_neither_cut_nor_wrapped(monkeypatch: pytest.MonkeyPatch) -> None:
    *_, row = asked(monkeypatch, "slowest")
    assert row.split() == ["x" * 75, "y" * 75]


def test_a_question_that_is_asked_twice_is_answered_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, "dead", "dead") == asked(monkeypatch, "dead")


def test_an_empty_line_is_between_two_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = asked(monkeypatch, "dead"), asked(monkeypatch, "slowest")
    assert asked(monkeypatch, "dead", "slowest") == [*one, "", *other]


@pytest.mark.parametrize("words", [["skip", "results", "t/0/1"], ["skip", "emotion-results", "t-0-1"]])
def test_what_cannot_be_skipped_is_exit_code_2(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setenv("STREAMPROC_REGISTRY__URL", "http://127.0.0.1:1/apis/ccompat/v7")
    assert CliRunner().invoke(app, ["connect", *words]).exit_code == 2
