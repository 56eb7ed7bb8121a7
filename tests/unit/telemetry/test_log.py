import ast
import io
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

import streamproc
from streamproc.settings import LogSettings
from streamproc.telemetry.log import FIELDS, MicroBatchLine, get_log, micro_batch_line
from streamproc.telemetry.voice import configure_log

LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


@pytest.fixture(autouse=True)
def _leave_logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def spoken(**settings: Any) -> io.StringIO:
    stream = io.StringIO()
    configure_log(LogSettings(**settings), stream)
    return stream


def test_in_a_program_that_sets_no_log_up_only_warnings_are_said_and_not_on_stdout() -> None:
    code = (
        "from streamproc.telemetry.log import get_log; log = get_log('a.room'); log.info('a'); log.warning('b', slot=1)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (said.stdout, said.stderr) == ("", "event=b slot=1\n")


def test_a_line_is_one_json_object_with_time_level_room_and_fields() -> None:
    stream = spoken()
    get_log("streamproc.worker").warning("the store answers slowly", seconds=3.5)
    (line,) = lines(stream)
    assert line.pop("at").endswith("Z")
    assert line == {
        "event": "the store answers slowly",
        "level": "warning",
        "logger": "streamproc.worker",
        "seconds": 3.5,
    }


def test_what_is_below_the_level_is_not_said() -> None:
    stream = spoken(level="warning")
    get_log("streamproc.x").info("quiet")
    logging.getLogger("library").info("quiet too")
    assert stream.getvalue() == ""


def test_context_variables_are_on_every_line() -> None:
    stream = spoken()
    with structlog.contextvars.bound_contextvars(slot="3"):
        get_log("streamproc.x").info("inside")
    get_log("streamproc.x").info("outside")
    inside, outside = lines(stream)
    assert inside["slot"] == "3"
    assert "slot" not in outside


def test_libraries_speak_in_the_same_shape() -> None:
    stream = spoken()
    logging.getLogger("urllib3").warning("retrying %s", "GET")
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("retrying GET", "warning", "urllib3")


def test_warnings_of_libraries_become_lines() -> None:
    stream = spoken()
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        logging.captureWarnings(capture=True)
        warnings.warn("old way", DeprecationWarning, stacklevel=1)
    (line,) = lines(stream)
    assert "old way" in line["event"]


def test_an_unknown_field_is_named_and_its_value_dropped() -> None:
    stream = spoken()
    get_log("streamproc.x").info("hello", pasword="hunter2", seconds=1)
    (line,) = lines(stream)
    assert line["unknown_fields"] == ["pasword"]
    assert line["seconds"] == 1
    assert "hunter2" not in stream.getvalue()


def fail_with_a_secret_in_scope() -> None:
    password = "hunter2"
    raise ValueError(f"a secret of {len(password)} characters")


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_traceback_shows_no_values_of_variables(style: str) -> None:
    stream = spoken(format=style)
    try:
        fail_with_a_secret_in_scope()
    except ValueError:
        get_log("streamproc.x").exception("it failed")
    text = stream.getvalue()
    assert "a secret of 7 characters" in text
    assert "fail_with_a_secret_in_scope" in text
    assert text.count("hunter2") == 0


def test_a_secret_value_stays_masked() -> None:
    stream = spoken()
    get_log("streamproc.x").info("hello", detail=SecretStr("hunter2"))
    assert "hunter2" not in stream.getvalue()
    assert "**" in stream.getvalue()


def test_the_canonical_line_holds_every_number_of_a_micro_batch() -> None:
    stream = spoken()
    line = MicroBatchLine(7, 512, 500, 8, {"object_missing": 8}, 3, 1, 1.25, 0.05, 0)
    micro_batch_line(get_log("streamproc.worker"), line)
    (said,) = lines(stream)
    assert said["event"] == "micro-batch committed"
    assert {name: said[name] for name in MicroBatchLine.__dataclass_fields__} == {
        name: getattr(line, name) for name in MicroBatchLine.__dataclass_fields__
    }


def test_console_lines_are_for_people() -> None:
    stream = spoken(format="console")
    get_log("streamproc.x").info("hello", seconds=1)
    assert "hello" in stream.getvalue()
    with pytest.raises(json.JSONDecodeError):
        json.loads(stream.getvalue())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("style", "stream", "people"),
    [
        ("auto", Terminal(), True),
        ("auto", io.StringIO(), False),
        ("json", Terminal(), False),
        ("console", io.StringIO(), True),
    ],
)
def test_lines_are_for_people_where_a_person_watches(style: str, stream: io.StringIO, *, people: bool) -> None:
    configure_log(LogSettings.model_validate({"format": style}), stream)
    get_log("streamproc.x").info("hello", seconds=1)
    assert stream.getvalue().startswith("{") != people
    assert "hello" in stream.getvalue()


def test_every_field_that_the_product_logs_is_on_the_list() -> None:
    unknown = []
    for path in Path(streamproc.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in LEVELS
                and isinstance(node.func.value, ast.Name | ast.Attribute)
                and "log" in ast.unparse(node.func.value)
            ):
                names = {keyword.arg for keyword in node.keywords if keyword.arg}
                unknown += [
                    f"{path.name}:{node.lineno} {name}" for name in names - FIELDS.keys() - {"exc_info", "stack_info"}
                ]
    assert unknown == []
