import threading
import time

import pytest
from prometheus_client import generate_latest

from streamproc.telemetry.metrics import Metrics
from streamproc.telemetry.timesheet import ACTIVITIES, Activity, Hand, Timesheet, Timesheets, at
from streamproc.testing.clock import ManualClock


def test_what_is_read_sums_to_the_time_since_it_began() -> None:
    clock = ManualClock()
    sheet = Timesheet(Hand.POLL, "poll", Activity.START, clock.monotonic)
    clock.advance(1)
    sheet.enter(Activity.STEER)
    clock.advance(2)
    with at(sheet, Activity.CLIENT):
        clock.advance(4)
        with at(sheet, Activity.REVOKE):
            clock.advance(8)
        clock.advance(16)
    clock.advance(32)
    spent = sheet.spent()
    assert {activity: seconds for activity, seconds in spent.items() if seconds} == {
        Activity.START: 1,
        Activity.STEER: 34,
        Activity.CLIENT: 20,
        Activity.REVOKE: 8,
    }
    assert set(spent) == set(ACTIVITIES[Hand.POLL])


def test_an_activity_of_another_hand_is_refused_when_it_ends() -> None:
    sheet = Timesheet(Hand.COMMIT, "commit-0", Activity.IDLE, ManualClock().monotonic)
    sheet.enter(Activity.CLIENT)
    with pytest.raises(KeyError):
        sheet.enter(Activity.IDLE)


def test_a_pool_sums_its_threads_and_says_how_many_there_are() -> None:
    clock = ManualClock()
    sheets = Timesheets(clock.monotonic)
    busy = sheets.open(Hand.IO, "io-0", Activity.IDLE)
    sheets.open(Hand.IO, "io-1", Activity.IDLE)
    busy.enter(Activity.FETCH)
    clock.advance(3)
    assert sheets.spent()[Hand.IO, Activity.FETCH] == sheets.spent()[Hand.IO, Activity.IDLE] == 3
    assert sheets.count()[Hand.IO] == 2
    assert [moment.activity for moment in sheets.moments()] == [Activity.FETCH, Activity.IDLE]


def test_a_scrape_shows_the_time_up_to_now_and_never_less_than_before() -> None:
    clock = ManualClock()
    metrics = Metrics(clock=clock.monotonic)
    sheet = metrics.sheets.open(Hand.COMMIT, "commit-0", Activity.IDLE)

    def shown(activity: Activity) -> float | None:
        generate_latest(metrics.registry)
        labels = {"thread": "commit", "activity": activity}
        return metrics.registry.get_sample_value("streamproc_time_seconds_total", labels)

    clock.advance(2)
    assert shown(Activity.IDLE) == 2
    sheet.enter(Activity.COMMIT)
    clock.advance(1)
    assert (shown(Activity.IDLE), shown(Activity.COMMIT)) == (2, 1)
    assert metrics.registry.get_sample_value("streamproc_threads", {"thread": "commit"}) == 1


def test_who_reads_while_another_writes_sees_every_second_once() -> None:
    sheet = Timesheet(Hand.COMMIT, "commit-0", Activity.IDLE, time.monotonic)
    began = time.monotonic()
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            sheet.enter(Activity.COMMIT)
            sheet.enter(Activity.IDLE)

    thread = threading.Thread(target=work)
    thread.start()
    for _ in range(200):
        before = time.monotonic() - began
        total = sum(sheet.spent().values())
        assert before - 0.01 <= total <= time.monotonic() - began + 0.01
    stop.set()
    thread.join()
