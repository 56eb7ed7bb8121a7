import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.operate.audit.finding import AuditReport, Fault, Finding, Unseen, Window
from streamproc.operate.audit.window import Moment, Selection
from streamproc.records.record import TopicPartition
from streamproc.settings import Settings

PLACE = TopicPartition("audio.recordings", 3)
LOST = Finding(Fault.MISSING, PLACE, 17, 19, "lost [all]")
WAITS = Unseen(PLACE, 20, 20, "not committed yet")

run = CliRunner()


def report(
    findings: tuple[Finding, ...] = (),
    unseen: tuple[Unseen, ...] = (),
    *,
    advisory: bool = False,
    waiting: int = 0,
    unchecked: int = 0,
) -> AuditReport:
    window = Window(PLACE, 0, 30, 28, 2)
    counts = (len(findings), len(unseen))
    return AuditReport(
        "audio.recordings",
        (window,),
        25,
        2,
        1,
        4,
        unchecked,
        findings,
        counts[0],
        unseen,
        counts[1],
        advisory,
        waiting,
        0.5,
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was asked for, and first what is answered."""
    calls: list[object] = [report()]

    def audit(settings: Settings, selection: Selection, _tell: object) -> object:
        calls.extend((settings.topics, selection))
        return calls[0]

    monkeypatch.setattr("streamproc.operate.audit.read.audit", audit)
    return calls


def test_what_is_proved_is_exit_code_0(asked: list[object]) -> None:
    done = run.invoke(app, ["audit"])
    assert done.exit_code == 0
    assert asked[2] == Selection()
    assert "proved: each of 28 records has exactly one end" in done.stdout
    assert "25 results, 2 dead letters, 1 went over lanes, 4 ledger rows" in done.stdout


def test_windows_without_a_record_are_told_as_that(asked: list[object]) -> None:
    asked[0] = replace(report(), windows=(Window(PLACE, 7, 9, 0, 2),))
    done = run.invoke(app, ["audit"])
    assert done.exit_code == 0
    assert "proved: no record is in the windows" in done.stdout
    asked[0] = replace(report(), windows=(Window(PLACE, 7, 9, 1, 1),), results=0, dead_letters=1, ledger_rows=1)
    told = run.invoke(app, ["audit"]).stdout
    assert "proved: each of 1 record has exactly one end" in told
    assert "0 results, 1 dead letter, 1 went over lanes, 1 ledger row, read in" in told


def test_what_waits_outside_of_the_windows_is_said(asked: list[object]) -> None:
    assert "outside" not in run.invoke(app, ["audit"]).stdout
    asked[0] = report(waiting=1_400)
    done = run.invoke(app, ["audit"])
    assert done.exit_code == 0
    assert "1,400 offsets outside of the windows: not committed yet, nothing is said of them" in done.stdout
    assert json.loads(run.invoke(app, ["audit", "--json"]).stdout)["waiting"] == 1_400


def test_rows_that_could_not_be_checked_are_counted_and_do_not_keep_the_records_from_being_proved(
    asked: list[object],
) -> None:
    asked[0] = report(unchecked=2)
    done = run.invoke(app, ["audit"])
    assert done.exit_code == 0
    assert "2 ledger rows not checked" in done.stdout
    assert "but for 2 ledger rows" in done.stdout
    assert json.loads(run.invoke(app, ["audit", "--json"]).stdout)["unchecked_rows"] == 2


def test_a_fault_is_named_and_exit_code_1(asked: list[object]) -> None:
    asked[0] = report((LOST,), (WAITS,), advisory=True)
    done = run.invoke(app, ["audit"])
    assert done.exit_code == 1
    for text in ("missing", "audio.recordings/3/17 to 19", "lost [all]", "audio.recordings/3/20", "at_least_once"):
        assert text in done.stdout
    assert "not proved: 1 fault; " in done.stdout


def test_what_was_not_seen_is_not_proved(asked: list[object]) -> None:
    asked[0] = report(unseen=(WAITS,))
    done = run.invoke(app, ["audit"])
    assert done.exit_code == 1
    assert "no fault in what was seen, but not all of it was" in done.stdout


def test_json_is_one_object(asked: list[object]) -> None:
    asked[0] = report((LOST,))
    told = json.loads(run.invoke(app, ["audit", "--json"]).stdout)
    assert (told["proved"], told["finding_count"], told["windows"][0]["holes"]) == (False, 1, 2)
    assert told["findings"] == [
        {
            "fault": "missing",
            "topic": "audio.recordings",
            "partition": 3,
            "first": 17,
            "last": 19,
            "detail": "lost [all]",
        }
    ]


def test_bounds_are_offsets_or_times_and_another_topic_has_its_own_lanes(asked: list[object]) -> None:
    words = "--topic calls --partition 2 --from 17 --to 1970-01-01T00:00:01"
    assert run.invoke(app, ["audit", *words.split()]).exit_code == 0
    assert asked[2] == Selection(2, 17, Moment(1000))
    assert isinstance(asked[1], type(Settings().topics))
    assert asked[1].lanes == ("calls.retry.10s", "calls.retry.5m")


def test_nothing_is_cut_where_lines_are_short(asked: list[object]) -> None:
    detail = "a result 0efb1974-f81b-5419-be6d-87503ffa32d0 at emotion.results/11/1 and another at emotion.results/11/2"
    asked[0] = report((Finding(Fault.DOUBLE, PLACE, 17, 17, detail),))
    assert detail in run.invoke(app, ["audit"], env={"COLUMNS": "80"}).stdout


@pytest.mark.parametrize(
    "topic", ["emotion.results", "emotion.segments", "audio.recordings.dlq", "audio.recordings.replays"]
)
def test_a_topic_that_is_no_input_is_refused(asked: list[object], topic: str) -> None:
    done = run.invoke(app, ["audit", "--topic", topic])
    assert (done.exit_code, len(asked)) == (2, 1)
    assert "that is no input" in done.stderr
