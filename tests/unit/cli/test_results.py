import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.demo.clips import load_manifest
from streamproc.demo.plan import build_plan
from streamproc.operate.lines import dead_letter_line, result_line
from streamproc.operate.outputs import Output
from tests.unit.demo.made import dead_letter, result, sent

run = CliRunner()
SENT = sent(list(build_plan(load_manifest(), "r")))


class FakeOutputs:
    """Two rows that are there, one that comes, then Ctrl-C."""

    def __init__(self, rows: Sequence[Output]) -> None:
        self.rows = rows

    def rest(self) -> Iterator[Output]:
        yield from self.rows[:2]

    def forever(self) -> Iterator[Output]:
        for number in count(2):
            if number >= len(self.rows):
                raise KeyboardInterrupt
            yield self.rows[number]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What was asked of the topics."""
    calls: list[tuple[object, ...]] = []

    @contextmanager
    def open_outputs(
        _settings: object, topics: Sequence[str], since_ms: int | None, _note: object
    ) -> Iterator[FakeOutputs]:
        calls.append((tuple(topics), since_ms))
        if topics == ["audio.recordings.dlq"]:
            yield FakeOutputs([dead_letter(SENT[-1])])
        else:
            yield FakeOutputs([result(one, score_angry=0.9, score_sad=0.1) for one in SENT[:3]])

    monkeypatch.setattr("streamproc.operate.outputs.open_outputs", open_outputs)
    return calls


def test_all_that_is_kept_as_a_table(asked: list[tuple[object, ...]]) -> None:
    done = run.invoke(app, ["results"])
    assert done.exit_code == 0, done.output
    assert asked == [(("emotion.results",), 0)]
    lines = done.stdout.splitlines()
    assert len(lines) == 3
    event, recording = lines[1].removeprefix("2023-11-14 22:13:20  ").split()[:2]
    assert SENT[0].announcement.event_id.startswith(event)
    assert len(event) == 13
    assert recording == "demo/angry-line.wav"
    assert "aaaaaaaaaaaaaass" in lines[1]


@pytest.mark.parametrize(
    ("attributes", "shown"),
    [
        ('{"file_name": "call 17.wav"}', "call 17.wav"),
        ('{"file_name": "a\\u001b[2Jb.wav"}', "a\ufffd[2Jb.wav"),
        ('{"file_name": "recording-of-a-long-day.wav"}', "…rding-of-a-long-day.wav"),
        ('{"file_name": 5}', "sha256/abc.wav"),
        ('["file_name"]', "sha256/abc.wav"),
        ("not JSON", "sha256/abc.wav"),
        (None, "sha256/abc.wav"),
    ],
)
def test_a_recording_is_shown_by_the_name_that_its_file_had(attributes: str | None, shown: str) -> None:
    line = result_line(result(SENT[0], object_key="sha256/abc.wav", attributes_json=attributes)).plain
    assert line[36:60].strip() == shown
    letter = replace(dead_letter(SENT[-1]), file_name="call.wav")
    assert "  call.wav  " in dead_letter_line(letter).plain


@pytest.mark.parametrize("name", ["produced_at", "duration_ms", "segment_count", "tier", "processing_ms"])
def test_what_another_program_left_out_is_blank(name: str) -> None:
    whole = result_line(result(SENT[0])).plain
    line = result_line(result(SENT[0], **{name: None})).plain
    assert len(line) == len(whole)
    assert len(line.split()) == len(whole.split()) - (2 if name == "produced_at" else 1)


def test_json_lines_hold_every_column(asked: list[tuple[object, ...]]) -> None:
    done = run.invoke(app, ["results", "--json", "--count", "1"])
    assert len(asked) == 1
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["input_offset"] == 0


def test_following_begins_now_and_ctrl_c_is_its_ordinary_end(asked: list[tuple[object, ...]]) -> None:
    done = run.invoke(app, ["results", "--follow", "--json"])
    assert done.exit_code == 0
    assert asked == [(("emotion.results",), None)]
    assert len(done.stdout.splitlines()) == 3


def test_dead_letters_say_what_to_do(asked: list[tuple[object, ...]]) -> None:
    done = run.invoke(app, ["results", "--dead-letters", "--since", "1970-01-01T00:00:01"])
    assert asked == [(("audio.recordings.dlq",), 1000)]
    assert "avro_invalid" in done.stdout
    assert "To do: fix the producer" in done.stdout
    assert SENT[-1].announcement.event_id[:13] in done.stdout


def test_names_of_foreign_producers_do_not_reach_the_terminal_as_commands() -> None:
    strange = replace(dead_letter(SENT[-1]), event_id="a\x1b[2J\nb", object_key=None)
    assert "  a\ufffd[2J\ufffdb        -     " in dead_letter_line(strange).plain


def test_a_time_that_is_none_is_wrong_use(asked: list[tuple[object, ...]]) -> None:
    done = run.invoke(app, ["results", "--since", "yesterday"])
    assert done.exit_code == 2
    assert asked == []


def test_following_since_a_moment_shows_what_was_there_and_goes_on(asked: list[tuple[object, ...]]) -> None:
    done = run.invoke(app, ["results", "--follow", "--json", "--since", "1970-01-01T00:00:01"])
    assert done.exit_code == 0
    assert asked == [(("emotion.results",), 1000)]
    assert len(done.stdout.splitlines()) == 3


def test_help_says_where_following_begins() -> None:
    told = " ".join(run.invoke(app, ["results", "--help"]).output.replace("│", " ").split())
    assert "Begins at now unless --since is given" in told


@pytest.fixture
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Topics without a row."""

    @contextmanager
    def open_outputs(*_: object) -> Iterator[FakeOutputs]:
        yield FakeOutputs([])

    monkeypatch.setattr("streamproc.operate.outputs.open_outputs", open_outputs)


@pytest.mark.usefixtures("_empty")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("", "Nothing in emotion.results. `streamproc publish FILE` announces a recording, a worker answers."),
        ("--dead-letters", "No dead letter in audio.recordings.dlq."),
        (
            "--since 2020-01-31",
            "No result in emotion.results for --since 2020-01-31. Without --since all that is kept is shown.",
        ),
        (
            "--dead-letters --since 2020-01-31",
            "No dead letter in audio.recordings.dlq for --since 2020-01-31.",
        ),
    ],
)
def test_an_empty_answer_says_what_was_selected(words: str, told: str) -> None:
    done = run.invoke(app, ["results", *words.split()])
    assert (done.exit_code, done.stderr) == (0, f"{told}\n")


@pytest.mark.parametrize("as_json", [True, False])
def test_a_pipe_that_is_closed_is_a_quiet_end(*, as_json: bool) -> None:
    script = (
        "import typer\n"
        "from itertools import repeat\n"
        "from streamproc.cli.rows import show_rows\n"
        "from tests.unit.cli.test_results import SENT, dead_letter\n"
        f"typer.run(lambda: show_rows(repeat(dead_letter(SENT[-1])), dead_letters=True, as_json={as_json}))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == 0
