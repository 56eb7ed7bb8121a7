import io
import re
from datetime import datetime
from pathlib import Path

import pytest
from rich.console import Console

from streamproc.errors import UsageError
from streamproc.operate.warehouse.answer import Answer
from streamproc.operate.warehouse.connectors import files
from streamproc.operate.warehouse.questions import NAMES, ask, questions
from streamproc.operate.warehouse.shown import LONGEST, answer_table, cell
from streamproc.settings import WarehouseSettings


def test_every_question_has_words_and_a_statement_and_every_file_is_asked() -> None:
    found = questions()
    assert all(one.words.endswith("?") and one.statement.strip().startswith("select") for one in found)
    there = {path.name.removesuffix(".sql") for path in files().joinpath("questions").iterdir()}
    assert there == set(NAMES)


def test_the_page_has_an_answer_to_each_question() -> None:
    page = (Path(__file__).parents[4] / "docs" / "downstream.md").read_text("utf-8")
    told = re.findall(r"^\*\*(.*\?)\*\* \(`(\w+)`", page, re.MULTILINE)
    assert told == [(one.words, one.name) for one in questions()]


def test_a_question_that_nobody_has_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"no question happy; there are angry, turned"):
        questions(["angry", "happy"])


def test_an_address_without_a_port_is_refused() -> None:
    with pytest.raises(UsageError, match=r"warehouse\.address is db"):
        ask(WarehouseSettings(address="db"))


def test_values_are_shown_short_and_without_commands_for_the_terminal() -> None:
    assert cell(None) == "-"
    assert cell(datetime(2026, 1, 2, 3, 4, 5, 600)) == "2026-01-02 03:04:05"  # noqa: DTZ001  # as the table has it
    assert cell("a\x1b[31mb") == "a?[31mb"
    assert len(cell("x" * 1_000)) < LONGEST + 5


def test_what_cannot_be_asked_yet_says_what_is_missing() -> None:
    out = io.StringIO()
    Console(file=out, width=80).print(answer_table(Answer(questions(["dead"])[0], (), (), "no table [x] yet")))
    assert out.getvalue().splitlines()[1:] == ["(nothing: no table [x] yet)"]


def test_an_answer_without_rows_says_so() -> None:
    out = io.StringIO()
    Console(file=out, width=80).print(answer_table(Answer(questions(["dead"])[0], ("reason", "records"), ())))
    assert "Why did records end without a result?" in out.getvalue()
    assert "(nothing)" in out.getvalue()
