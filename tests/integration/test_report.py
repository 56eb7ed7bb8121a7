"""A report over real topics, written by hand."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.errors import ExitCode, Reason, UsageError
from streamproc.operate.report import read
from streamproc.operate.report.read import report
from streamproc.records.record import TopicPartition as Place
from streamproc.settings import Settings
from tests.integration.planted import World, now_ms, own_topics, plant

HOUR_MS = 3_600_000


@pytest.fixture
def world(patient: Settings) -> Iterator[World]:
    with plant(own_topics(patient)) as world:
        yield world


def unheard(_name: str, _text: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


def worked(world: World) -> None:
    """Three results, one of them known already, and a dead letter."""
    world.announce(4)
    time.sleep(0.3)
    results = [(offset, world.result(0, offset, tier="memory" if offset else "computed")) for offset in range(3)]
    world.commit(Place(world.input, 0), [*results, (3, world.dead(0, 3, reason=Reason.DECODE_FAILED))])


def test_totals_and_times_come_from_the_topics_alone(world: World) -> None:
    began = now_ms()
    worked(world)
    end = now_ms() + 1
    found = report(world.settings, end - HOUR_MS, end, unheard)
    now, before = found.now, found.before
    assert (now.results, now.dead_letters, now.unknown, before.ended) == (3, 1, 0, 0)
    assert (now.error_rate, now.reasons) == (0.25, {"decode_failed": 1})
    assert now.hit_rate == pytest.approx(2 / 3)
    assert now.response is not None
    assert 0.25 <= now.response.p50 <= (end - began) / 1000
    assert any("25.0% became dead letters" in line for line in found.anomalies)


def test_what_ended_before_is_the_period_before(world: World) -> None:
    worked(world)
    time.sleep(0.05)
    begin = now_ms()
    found = report(world.settings, begin, begin + HOUR_MS, unheard)
    assert (found.now.ended, found.before.results, found.before.dead_letters) == (0, 3, 1)


def test_results_of_an_input_that_is_gone_have_no_response_time(world: World) -> None:
    world.announce(1)
    gone = [(offset, world.result(0, offset)) for offset in range(1, 3)]  # as if retention had passed them
    world.commit(Place(world.input, 0), [(0, world.dead(0, 0, reason=Reason.DECODE_FAILED)), *gone])
    end = now_ms() + 1
    found = report(world.settings, end - HOUR_MS, end, unheard)
    assert (found.now.ended, found.now.unknown, found.now.response) == (3, 2, None)
    (note,) = found.notes
    assert note.startswith("response times of this period are not known: the input of 2 of its 3 ends")


def test_ends_of_another_group_on_the_same_topics_are_counted_and_told(world: World) -> None:
    worked(world)
    end = now_ms() + 1
    assert report(world.settings, end - HOUR_MS, end, unheard).notes == ()
    again = [(offset, world.result(0, offset)) for offset in range(3)]
    world.commit(Place(world.input, 0), [*again, (3, world.dead(0, 3, reason=Reason.DECODE_FAILED))])
    told: list[tuple[str, int, int]] = []
    end = now_ms() + 1
    found = report(world.settings, end - HOUR_MS, end, lambda name, _, done, total: told.append((name, done, total)))
    assert (found.now.results, found.now.dead_letters) == (6, 2)
    (note,) = found.notes
    assert note.startswith("4 ends are of records that had one already, and all of them count: several groups")
    last = {name: (done, total) for name, done, total in told}
    assert all(done == total for done, total in last.values())


def test_a_foreign_record_is_left_out_and_told(world: World) -> None:
    worked(world)
    world.producer.begin_transaction()
    for topic in (world.settings.topics.results, world.settings.topics.dead_letters):
        world.producer.produce(topic, b"not ours")
    world.producer.commit_transaction(60)
    end = now_ms() + 1
    found = report(world.settings, end - HOUR_MS, end, unheard)
    assert (found.now.results, found.now.dead_letters, found.unreadable) == (3, 1, 2)


def test_more_than_it_can_hold_is_refused_before_it_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    worked(world)
    monkeypatch.setattr(read, "MOST_RECORDS", 8)
    with pytest.raises(UsageError, match="ask for a shorter period"):
        report(world.settings, now_ms() - HOUR_MS, now_ms(), unheard)


def test_a_period_may_be_longer_than_anything_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    worked(world)
    time.sleep(0.01)
    monkeypatch.setattr("streamproc.cli.report.load_settings", lambda: world.settings)
    done = CliRunner().invoke(app, ["report", "--last", "999999d", "--json"])
    assert done.exit_code == ExitCode.DONE, done.output
    assert json.loads(done.stdout)["now"]["results"] == 3


def test_the_command_speaks_json_and_writes_a_page(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worked(world)
    time.sleep(0.01)
    monkeypatch.setattr("streamproc.cli.report.load_settings", lambda: world.settings)
    page = tmp_path / "report.html"
    done = CliRunner().invoke(app, ["report", "--last", "1h", "--json", "--html", str(page)])
    assert done.exit_code == ExitCode.DONE, done.output
    said = json.loads(done.stdout)
    assert (said["now"]["results"], said["rates"]["now"]["error_rate"]) == (3, 0.25)
    assert page.read_text("utf-8").startswith("<!doctype html>")
    table = CliRunner().invoke(app, ["report", "--last", "1h", "--html", str(tmp_path / "none" / "report.html")])
    assert table.stdout == ""  # which is told before all is read for nothing
    assert table.exit_code == ExitCode.USAGE
    assert CliRunner().invoke(app, ["report", "--last", "soon"]).exit_code == ExitCode.USAGE
