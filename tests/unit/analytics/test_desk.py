import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

import pytest
import structlog

from streamproc.analytics.desk import Desk
from streamproc.analytics.emission import Published
from streamproc.analytics.partial import Partial, Place, Progress, encode_progress, terms
from streamproc.analytics.rows import RowCodec
from streamproc.analytics.tally import Tally
from streamproc.analytics.trend import build_alert, build_trend
from streamproc.analytics.view import Window
from streamproc.errors import DependencyDownError
from streamproc.records.alert import AlertState
from streamproc.records.record import OutputRecord, Record
from streamproc.settings import AnalyticsSettings, Settings

SETTINGS = Settings()
HOUR_MS = 3_600_000


class Sent:
    """Takes records; the broker is away for so many flushes."""

    def __init__(self, away: int = 0) -> None:
        self.away = away
        self.keys: list[bytes | None] = []

    def send(self, record: OutputRecord, _name: str) -> None:
        self.keys.append(record.key)

    def flush(self) -> None:
        if self.away:
            self.away -= 1
            raise DependencyDownError("kafka", "it is not there")


class Past:
    """Readers have nothing yet. Counts how often it is asked."""

    asked = 0

    def __init__(self, *_: object) -> None:
        """There is nothing to connect to."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def published(self, _over_ms: int) -> Published:
        type(self).asked += 1
        return Published()


@pytest.fixture
def past(monkeypatch: pytest.MonkeyPatch) -> type[Past]:
    monkeypatch.setattr(Past, "asked", 0)
    monkeypatch.setattr("streamproc.analytics.desk.History", Past)
    return Past


def desk(sent: Any, mandate: Callable[[], int | None] = lambda: 1) -> Desk:
    return Desk(SETTINGS, sent, RowCodec("t", "a", 1, 2), mandate)


def hear(desk: Desk, hour: int, results: int) -> None:
    place = Place(terms(SETTINGS), 0, ("all", ""), hour * HOUR_MS)
    desk.view.take(Partial(place, Tally(results)))
    desk.view.take(Progress(terms(SETTINGS), 0, hour * HOUR_MS))


def turn(desk: Desk) -> None:
    desk._heed()
    desk._write(desk.refresh())


def test_rows_that_may_not_have_arrived_are_written_again_and_no_others(past: type[Past]) -> None:
    sent = Sent(away=1)
    made = desk(sent)
    hear(made, 10, 1)
    with pytest.raises(DependencyDownError):
        turn(made)
    first = set(sent.keys)
    assert len(first) == 1 + 4  # the tumbling window and the four that overlap
    sent.keys.clear()
    hear(made, 20, 1)
    turn(made)
    assert len(sent.keys) == len(set(sent.keys)) == 2 * len(first)
    assert first < set(sent.keys)
    sent.keys.clear()
    turn(made)
    assert sent.keys == []
    assert past.asked == 1


def test_a_new_writer_reads_what_readers_have_first(past: type[Past]) -> None:
    mandate: int | None = None
    sent = Sent()
    made = desk(sent, lambda: mandate)
    hear(made, 10, 1)
    turn(made)
    assert (sent.keys, past.asked) == ([], 0)
    mandate = 1
    turn(made)
    assert (len(sent.keys), past.asked) == (5, 1)
    mandate = None
    turn(made)
    mandate = 2
    turn(made)
    assert past.asked == 2


def test_a_writer_that_was_away_takes_back_what_another_one_raised_meanwhile(
    monkeypatch: pytest.MonkeyPatch, past: type[Past]
) -> None:
    """It comes back by an assignment like the one that it had: nothing but its number says that it was away."""
    mandate, there = 1, Published()
    monkeypatch.setattr(past, "published", lambda *_: there)
    sent = Sent()
    made = desk(sent, lambda: mandate)
    tally = Tally(60, Counter(angry=20, happy=40))
    made.view.take(Partial(Place(terms(SETTINGS), 0, ("all", ""), 10 * HOUR_MS), tally))
    turn(made)
    assert not any(alert.state == AlertState.RAISED for alert in there.alerts.values())
    window = Window("tumbling", ("all", ""), 10 * HOUR_MS, 11 * HOUR_MS, tally)
    raised = build_alert(build_trend(window, frozenset({"angry"}), 0), AlertState.RAISED, 0.5, 0)
    there = Published()
    there.put(raised)
    mandate = 2
    turn(made)
    assert [alert.state for alert in there.alerts.values()] == [AlertState.CLEARED]


def test_who_loses_the_first_partition_in_a_turn_writes_nothing_more(past: type[Past]) -> None:
    mandates = iter([1, None])
    sent = Sent()
    made = desk(sent, lambda: next(mandates))
    hear(made, 10, 1)
    turn(made)
    assert (sent.keys, past.asked) == ([], 0)


def tell(desk: Desk, progress: Progress) -> None:
    desk._take(Record(SETTINGS.topics.partials, 0, 0, 0, *encode_progress(progress)))


def test_nothing_is_written_before_each_partition_told_how_far_it_is_now(past: type[Past]) -> None:
    """What was there at the start may be of a time before others with other settings wrote."""
    sent: Any = Sent()
    made = Desk(SETTINGS, sent, RowCodec("t", "a", 1, 2), lambda: 1, range(2))
    hear(made, 10, 1)
    for partition in range(2):
        tell(made, Progress(terms(SETTINGS), partition, 10 * HOUR_MS))
    made._read.set()
    tell(made, Progress(terms(SETTINGS), 0, 10 * HOUR_MS))
    tell(made, Progress("other terms", 1, 10 * HOUR_MS))
    turn(made)
    assert (sent.keys, past.asked) == ([], 0)
    before = made.current
    tell(made, Progress(terms(SETTINGS), 1, 10 * HOUR_MS))
    turn(made)
    assert (len(sent.keys), past.asked) == (5, 1)
    assert (before, made.current) == (False, True)


def test_a_new_writer_empties_what_other_settings_left_and_takes_their_alerts_back(
    monkeypatch: pytest.MonkeyPatch, past: type[Past]
) -> None:
    key = ("agent", "who is not kept apart any more")
    window = Window("tumbling", key, 10 * HOUR_MS, 11 * HOUR_MS, Tally(30, Counter(angry=30)))
    trend = build_trend(window, frozenset({"angry"}), 0)
    alone = replace(build_alert(trend, AlertState.RAISED, 0.5, 0), trend_id="of no trend", alert_id="alone")
    left = Published()
    for row in (trend, build_alert(trend, AlertState.RAISED, 0.5, 0), alone):
        left.put(row)
    monkeypatch.setattr(past, "published", lambda *_: left)
    sent = Sent()
    made = desk(sent)
    hear(made, 10, 1)
    with structlog.testing.capture_logs() as log:
        turn(made)
    assert len(sent.keys) == 5 + 3
    assert [line["count"] for line in log if line["log_level"] == "warning"] == [3]
    assert left.trends[trend.trend_id].results == 0
    assert {alert.state for alert in left.alerts.values()} == {AlertState.CLEARED}
    sent.keys.clear()
    hear(made, 11, 1)
    turn(made)
    assert trend.trend_id.encode() not in sent.keys


class Log:
    """A tail that is empty, and away when it is told to be."""

    opened = 0
    away = False

    def __init__(self, *_: object) -> None:
        type(self).opened += 1

    def ends(self) -> dict[Any, int]:
        return {}

    def reached(self, _ends: object) -> bool:
        return True

    def poll(self, _timeout_s: float) -> list[Any]:
        time.sleep(0.001)
        if self.away:
            raise DependencyDownError("kafka", "it is not there")
        return []

    def close(self) -> None:
        """Nothing is open."""


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_it_is_not_current_while_a_server_is_away_and_reads_on_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.analytics.desk.Tail", Log)
    monkeypatch.setattr("streamproc.analytics.desk.AGAIN_S", 0.001)
    settings = Settings(analytics=AnalyticsSettings(emit_s=0.001))
    sent: Any = Sent()
    made = Desk(settings, sent, RowCodec("t", "a", 1, 2), lambda: None)
    monkeypatch.setattr(Log, "away", True)
    said: list[str] = []
    monkeypatch.setattr("streamproc.analytics.desk.tell_back", lambda error: said.append(error.dependency))
    made.start()
    try:
        time.sleep(0.05)
        assert not made.current
        for away in (False, True, False):
            if away:
                said.clear()
            monkeypatch.setattr(Log, "away", away)
            until(lambda: made.current is not Log.away)
            heard = made.heard_at
            if not away:
                until(lambda before=heard: made.heard_at > before)  # type: ignore[misc]  # of this turn
            else:
                time.sleep(0.01)
                assert made.heard_at == heard
        assert Log.opened == 1
        assert said == ["kafka"]
    finally:
        made.close()
    assert made.failure is None


def test_who_begins_to_write_hears_first_what_is_there_by_then(past: type[Past]) -> None:
    """Rows of windows that it has not heard of would look like rows that nothing stands behind."""
    mandate, ends = None, iter([1, 2, 3, 4])

    class Behind(Log):
        read = 1

        def ends(self) -> Any:
            return next(ends)

        def reached(self, there: Any) -> bool:
            return bool(self.read >= there)

    sent: Any = Sent()
    made = desk(sent, lambda: mandate)
    tail: Any = Behind()
    made._serve(tail)
    tail.read, mandate, made._due = 2, 1, 0.0
    made._serve(tail)
    assert past.asked == 0
    tail.read = 3
    made._serve(tail)
    assert past.asked == 1
