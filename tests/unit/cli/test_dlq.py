import json
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.errors import PoisonError, Reason, Stage
from streamproc.operate.dead_letter import ADVICE, read_dead_letter
from streamproc.operate.dlq.choice import Choice
from streamproc.operate.dlq.letter import Letter
from streamproc.operate.dlq.replay import Named, Order, Replayed
from streamproc.operate.foreign import Foreign
from streamproc.operate.place import Place
from streamproc.records.lane import Attempt, failure_headers
from streamproc.records.record import Record, TopicPartition
from streamproc.records.recording import RecordingEvent

run = CliRunner()
DLQ = TopicPartition("audio.recordings.dlq", 0)
ORIGIN = Place(TopicPartition("audio.recordings", 3), 6)
EVENT = RecordingEvent("e-1", 0, "recordings", "calls/1.wav", outputs=frozenset({"segments", "scores"}))


def letter(offset: int, reason: Reason = Reason.OBJECT_MISSING, event: RecordingEvent | None = EVENT) -> Letter:
    ours = failure_headers(
        Attempt("audio.recordings", 3, offset, 1, 1_000), PoisonError(reason, Stage.FETCH, "no \x1b[2J")
    )
    headers = (("x", b"\xff"), ("sp-replays", b"2"), *ours)
    record = Record(*DLQ, offset, 2_000 + offset, b"k", b"\x00v" * 40, headers)
    told = read_dead_letter(record, event)
    assert told is not None
    return Letter(record, told, event, 86_400_000 if offset == 1 else None)


class FakeLetters:
    """Two letters, of which the first was put back."""

    def __init__(self) -> None:
        self.foreign = Foreign()
        self.undecided = False
        self.chosen_by: list[Choice] = []

    def chosen(self, choice: Choice) -> Iterator[Letter]:
        self.chosen_by.append(choice)
        yield from (one for one in (letter(1), letter(2, Reason.ACCESS_DENIED)) if choice.takes(one))

    in_order = chosen

    def one(self, place: Place) -> Letter:
        return letter(place.offset, event=EVENT if place.offset < 3 else None)


@pytest.fixture
def letters(monkeypatch: pytest.MonkeyPatch) -> FakeLetters:
    fake = FakeLetters()

    @contextmanager
    def open_letters(_settings: object) -> Iterator[FakeLetters]:
        yield fake

    monkeypatch.setattr("streamproc.operate.dlq.letters.open_letters", open_letters)
    return fake


def test_letters_are_listed_by_choice(letters: FakeLetters) -> None:
    words = "--since 1970-01-01T00:00:02 --stage fetch --key k --origin audio.recordings/3/2 --reason access_denied"
    done = run.invoke(app, ["dlq", "ls", *words.split()])
    assert done.exit_code == 0, done.output
    origin = Place(TopicPartition("audio.recordings", 3), 2)
    assert letters.chosen_by == [Choice(2000, "access_denied", "fetch", "k", origin)]
    head, line = done.stdout.splitlines()
    assert head.startswith("given up (UTC)")
    assert " open  " in line
    assert "audio.recordings.dlq/0/2" in line
    assert "access_denied" in line


@pytest.mark.usefixtures("letters")
def test_json_lines_have_place_reason_and_replays() -> None:
    first, _ = (json.loads(line) for line in run.invoke(app, ["dlq", "ls", "--json"]).stdout.splitlines())
    assert (first["dlq_offset"], first["offset"], first["reason"], first["replays"]) == (1, 1, "object_missing", 2)


def test_what_is_open_can_be_listed_alone_and_what_is_no_letter_is_told(letters: FakeLetters) -> None:
    letters.foreign.note(Record(*DLQ, 9, 0, None, b"junk", ()), "is junk")
    done = run.invoke(app, ["dlq", "ls", "--open", "--json"])
    assert [json.loads(line)["dlq_offset"] for line in done.stdout.splitlines()] == [2]
    assert done.stderr == (
        "warning: 1 record was passed over: audio.recordings.dlq/0/9 is junk. Does another program write there?\n"
    )
    told = run.invoke(app, ["dlq", "stats", "--json"])
    assert (json.loads(told.stdout)["foreign"], told.stderr) == (1, done.stderr)


@pytest.mark.usefixtures("letters")
def test_of_what_cannot_be_read_the_first_bytes_are_shown_and_all_are_in_the_json() -> None:
    shown = run.invoke(app, ["dlq", "show", "audio.recordings/3/3"]).stdout
    assert "'" + "\\x00v" * 32 + "', the first 64 of 80 bytes" in shown
    told = json.loads(run.invoke(app, ["dlq", "show", "audio.recordings/3/3", "--json"]).stdout)
    assert b64decode(told["value_base64"]) == b"\x00v" * 40


@pytest.mark.usefixtures("letters")
def test_none_of_these_is_said() -> None:
    done = run.invoke(app, ["dlq", "ls", "--reason", "decode_failed"])
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == "No dead letter of these in audio.recordings.dlq.\n"


@pytest.mark.usefixtures("letters")
def test_of_none_there_is_no_table() -> None:
    assert run.invoke(app, ["dlq", "stats", "--reason", "decode_failed"]).stdout == "0 dead letters\n"


@pytest.mark.usefixtures("letters")
def test_they_are_counted_by_reason_with_what_to_do() -> None:
    shown = run.invoke(app, ["dlq", "stats"]).stdout
    assert ADVICE[Reason.ACCESS_DENIED] in shown
    told = json.loads(run.invoke(app, ["dlq", "stats", "--json"]).stdout)
    assert (told["letters"], told["open"]) == (2, 1)
    assert {one["reason"]: (one["letters"], one["replayed"]) for one in told["by_reason"]} == {
        "access_denied": (1, 1),
        "object_missing": (1, 1),
    }


@pytest.mark.usefixtures("letters")
def test_one_is_shown_whole_and_harmless() -> None:
    shown = run.invoke(app, ["dlq", "show", "audio.recordings/3/1"]).stdout
    recorded = "1970-01-01 00:00:00"
    for text in ("audio.recordings.dlq/0/1", "calls/1.wav", "scores, segments", "\\xff", "no \ufffd[2J", recorded):
        assert text in shown
    assert "\x1b[2J" not in shown
    told = [json.loads(run.invoke(app, ["dlq", "show", f"in/3/{n}", "--json"]).stdout) for n in (1, 2)]
    assert [one["put_back"] for one in told] == [True, False]
    assert told[0]["headers"] == [["x", "\\xff"], ["sp-replays", "2"]]
    assert told[0]["event"]["outputs"] == ["scores", "segments"]


def test_a_replay_is_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    orders: list[Order] = []

    def replay(_settings: object, order: Order, _tell: object) -> Replayed:
        orders.append(order)
        return Replayed(
            Counter({"object_missing": 5}),
            [Named(Place(DLQ, 6), ORIGIN, "audio.recordings/3", "k\x1b", "object_missing")],
            2,
            1,
            [(Place(DLQ, 7), "it is [gone]")],
            3,
            stopped_at_most=True,
        )

    monkeypatch.setattr("streamproc.operate.dlq.replay.replay", replay)
    words = "--reason object_missing --max 5 --rate 2.5 --max-replays 4 --since 1970-01-01T00:00:02"
    more = "--stage fetch --key k --origin audio.recordings/3/6"
    shown = run.invoke(app, ["dlq", "replay", *words.split(), *more.split()]).stdout
    assert orders == [Order(Choice(2000, "object_missing", "fetch", "k", ORIGIN), 5, 2.5, 4)]
    for text in (
        "audio.recordings.dlq/0/6  object_missing  from audio.recordings/3/6 to audio.recordings/3  key k\ufffd",
        "5 put back",
        "2 put back by an earlier",
        "1 put back too often",
        "it is [gone]",
        "2 more",
    ):
        assert text in shown
    told = json.loads(run.invoke(app, ["dlq", "replay", "--dry-run", "--json"]).stdout)
    assert (told["dry_run"], told["put"]) == (True, {"object_missing": 5})
    assert [(one["letter"], one["origin"], one["to"]) for one in told["named"]] == [
        ("audio.recordings.dlq/0/6", "audio.recordings/3/6", "audio.recordings/3")
    ]
    assert told["left"] == [{"place": "audio.recordings.dlq/0/7", "why": "it is [gone]"}]
    assert orders[1].dry_run


def test_a_replay_that_is_interrupted_says_how_far_it_came(monkeypatch: pytest.MonkeyPatch) -> None:
    def replay(*_: object) -> Replayed:
        return Replayed(Counter({"object_missing": 40}), interrupted=True, in_doubt=10)

    monkeypatch.setattr("streamproc.operate.dlq.replay.replay", replay)
    done = run.invoke(app, ["dlq", "replay"])
    assert done.exit_code != 0
    assert "40 put back\n10 more on the way: all or none" in done.stdout


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("ls --reason objekt_missing", "did you mean object_missing"),
        ("stats --stage xx", "there are admit, fetch"),
        ("replay --reason objekt_missing --dry-run", "did you mean object_missing"),
    ],
)
def test_a_name_that_no_dead_letter_can_have_is_refused(letters: FakeLetters, command: str, says: str) -> None:
    told = run.invoke(app, ["dlq", *command.split()])
    assert told.exit_code == 2
    assert says in told.stderr
    assert letters.chosen_by == []


@pytest.mark.parametrize("words", ["ls", "stats", "stats --json", "show audio.recordings/3/1"])
def test_it_is_said_when_more_may_be_on_its_way_back(letters: FakeLetters, words: str) -> None:
    told = "a transaction of a replay is open"
    assert told not in run.invoke(app, ["dlq", *words.split()]).stderr
    letters.undecided = True
    done = run.invoke(app, ["dlq", *words.split()])
    assert told in done.stderr
    if "--json" in words:
        assert json.loads(done.stdout)["undecided"]
