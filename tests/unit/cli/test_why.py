import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.demo.clips import load_manifest
from streamproc.demo.plan import build_plan
from streamproc.operate.place import Place
from streamproc.operate.why.life import Announced, Committed, Life, PutBack, Retry, Try, Written
from streamproc.records.record import TopicPartition
from streamproc.records.recording import RecordingEvent
from tests.unit.demo.made import ledger, result, sent

run = CliRunner()
INPUT, LANE = TopicPartition("audio.recordings", 0), TopicPartition("audio.recordings.retry.10s", 1)
RESULTS, LEDGER = TopicPartition("emotion.results", 2), TopicPartition("streamproc.ledger", 5)
TIMELINE, EMBEDDING = "s3://recordings/analyses/a/timeline.json", "s3://recordings/analyses/a/embedding.npy"
ROW = result(sent(list(build_plan(load_manifest(), "r")))[0], produced_at=20_500, processing_ms=400)._replace(
    timeline_uri=TIMELINE,
    embedding_uri=EMBEDDING,
)
EVENT = RecordingEvent("e\x1b[2J", 1_000, "recordings", "calls/1.wav")
WHOLE = Life(
    Place(INPUT, 7),
    Announced(2_000, "k", 99, 1, "audio.recordings.dlq/2/5", EVENT),
    (
        Try(
            Place(INPUT, 7),
            Committed(Place(LEDGER, 3), ledger(5, 9)),
            Written(
                Place(LANE, 4),
                2_500,
                Retry("audio.recordings", 0, 7, 1, 2_000, "fetch", "object_missing", "HTTP 404 \x1b[2J"),
            ),
        ),
        Try(Place(LANE, 4), Committed(Place(LEDGER, 8), ledger(4, 4)), Written(Place(RESULTS, 6), 20_600, ROW)),
    ),
    (Place(TopicPartition("emotion.segments", 0), 11),),
    PutBack(30_000, Place(INPUT, 12)),
    (),
)
WAITS = replace(WHOLE, tries=(Try(Place(INPUT, 7), None, None),), remarks=("it is not committed yet",), announced=None)


@pytest.fixture
def lives(monkeypatch: pytest.MonkeyPatch) -> dict[str, Life]:
    """What is known, by place."""
    known = {"audio.recordings/0/7": WHOLE, "audio.recordings/0/8": WAITS}

    class Tracer:
        def trace(self, place: Place) -> Life:
            return known[str(place)]

    @contextmanager
    def open_tracer(_settings: object) -> Iterator[Tracer]:
        yield Tracer()

    monkeypatch.setattr("streamproc.operate.why.trace.open_tracer", open_tracer)
    return known


@pytest.mark.usefixtures("lives")
def test_a_life_is_told_in_its_order_with_every_place() -> None:
    done = run.invoke(app, ["why", "audio.recordings/0/7"], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    words = " ".join(done.stdout.split())
    steps = (
        "recorded",
        "announced",
        "try 1",
        "committed",
        " retry ",
        "try 2",
        "analysed",
        f"stored {TIMELINE}",
        f"stored {EMBEDDING}",
        "emotion.results/2",
        "emotion.segments",
    )
    assert sorted(steps, key=words.index) == list(steps)
    for text in (
        "audio.recordings.retry.10s/1/4",
        "emotion.results/2/6",
        "emotion.segments/0/11",
        "streamproc.ledger/5/8",
        "put back once, last from audio.recordings.dlq/2/5",
        "it goes on as audio.recordings/0/12",
        "after attempt 1, fetch: object_missing: HTTP 404",
        "+0.400 s",
    ):
        assert text in words
    assert "\x1b[2J" not in done.stdout


@pytest.mark.usefixtures("lives")
def test_a_life_without_an_end_is_exit_code_1_and_says_why() -> None:
    done = run.invoke(app, ["why", "audio.recordings/0/8"])
    assert done.exit_code == 1
    assert "it is not committed yet" in done.stdout


@pytest.mark.usefixtures("lives")
def test_nothing_is_cut_where_lines_are_short() -> None:
    shown = run.invoke(app, ["why", "audio.recordings/0/7"], env={"COLUMNS": "80"}).stdout
    assert f"emotion.results/2/6, result_id {ROW.result_id}, attempt {ROW.attempts}" in shown


@pytest.mark.usefixtures("lives")
def test_a_place_is_a_place_with_a_time_too() -> None:
    assert run.invoke(app, ["why", "audio.recordings/0/7", "--around", "2h"]).exit_code == 0


@pytest.mark.usefixtures("lives")
def test_json_has_everything() -> None:
    told = json.loads(run.invoke(app, ["why", "audio.recordings/0/7", "--json"]).stdout)
    assert (told["origin"], told["ended"]) == ("audio.recordings/0/7", True)
    assert [one["outcome"]["kind"] for one in told["tries"]] == ["retry", "result"]
    assert told["tries"][0]["outcome"]["reason"] == "object_missing"
    assert told["tries"][1]["committed"]["at"] == "streamproc.ledger/5/8"
    assert told["tries"][1]["outcome"]["result_id"] == ROW.result_id
    assert (told["announced"]["replay_of"], told["put_back"]["to"]) == (
        "audio.recordings.dlq/2/5",
        "audio.recordings/0/12",
    )
    assert told["announced"]["event"]["outputs"] == ["scores"]


@pytest.mark.usefixtures("lives")
def test_an_event_that_was_sent_twice_has_two_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def find_event(_settings: object, event_id: str, around_ms: int) -> tuple[Place, ...]:
        asked.append((event_id, around_ms))
        return Place(INPUT, 7), Place(INPUT, 8)

    monkeypatch.setattr("streamproc.operate.why.event.find_event", find_event)
    done = run.invoke(app, ["why", "a/b", "--around", "1970-01-01T00:00:05", "--json"])
    assert done.exit_code == 1
    assert asked == [("a/b", 5000)]
    assert [json.loads(line)["ended"] for line in done.stdout.splitlines()] == [True, False]
