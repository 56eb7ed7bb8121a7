import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from streamproc.settings import Settings, WorkerSettings
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.timesheet import Activity, Hand, Moment, Timesheets
from streamproc.worker.stuck import Stuck, Verdict, limits, longest_silence_s
from streamproc.worker.threads import Threads
from streamproc.worker.watchdog import Watchdog
from tests.programs import code_unread

SETTINGS = Settings.model_construct()
MARGIN_S = WorkerSettings().stuck_s


def moment(hand: Hand, activity: Activity, count: int = 0) -> Moment:
    return Moment(hand, f"{hand}-0", activity, 0.0, count)


def waited(moments: list[Moment], seconds: float, moves: int | None = None) -> Verdict | None:
    stuck = Stuck(limits(SETTINGS), longest_silence_s(SETTINGS))
    stuck.look(moments, moves, 1)
    found = None
    for _ in range(round(seconds)):
        found = found or stuck.look(moments, moves, 1)
    return found


@pytest.mark.parametrize(
    ("hand", "activity"),
    [
        (Hand.COMMIT, Activity.IDLE),
        (Hand.IO, Activity.IDLE),
        (Hand.TIER, Activity.IDLE),
        (Hand.CANARY, Activity.IDLE),
        (Hand.DEVICE, Activity.COMPUTE),
        (Hand.DEVICE, Activity.START),
    ],
)
def test_who_waits_for_work_or_has_an_owner_is_never_stuck(hand: Hand, activity: Activity) -> None:
    assert waited([moment(hand, activity)], 10_000) is None


@pytest.mark.parametrize("activity", [Activity.IDLE, Activity.START, Activity.STEER, Activity.INFER])
def test_the_loop_does_nothing_for_long_not_even_nothing(activity: Activity) -> None:
    assert waited([moment(Hand.LOOP, activity)], MARGIN_S - 1) is None
    found = waited([moment(Hand.LOOP, activity)], MARGIN_S + 2)
    assert found is not None
    assert (found.name, found.activity) == ("loop-0", activity)


def test_a_commit_may_take_all_its_time_outs() -> None:
    honest_s = 2 * SETTINGS.kafka.transaction_timeout_s
    assert waited([moment(Hand.COMMIT, Activity.COMMIT)], honest_s + MARGIN_S) is None
    assert waited([moment(Hand.COMMIT, Activity.COMMIT)], honest_s + MARGIN_S + 30) is not None


def test_a_revoke_may_take_its_drain() -> None:
    assert waited([moment(Hand.POLL, Activity.REVOKE)], SETTINGS.flow.drain_s + MARGIN_S - 1) is None


def test_who_begins_again_and_again_is_not_stuck() -> None:
    stuck = Stuck(limits(SETTINGS), longest_silence_s(SETTINGS))
    assert all(stuck.look([moment(Hand.LOOP, Activity.INFER, n)], None, 30) is None for n in range(100))


def test_records_that_do_not_move_are_stuck_and_none_are_not() -> None:
    silence_s = longest_silence_s(SETTINGS)
    assert waited([], silence_s + 100, moves=None) is None
    assert waited([], silence_s - 1, moves=7) is None
    found = waited([], silence_s + 2, moves=7)
    assert found is not None
    assert "records that do not move" in str(found)


def test_a_process_that_stood_still_is_not_stuck() -> None:
    """What a watchdog is told of a long sleep of all is cut: nobody could have moved."""
    found = threading.Event()
    clock = Jumping()
    sheets = Timesheets(clock.monotonic)
    sheets.open(Hand.LOOP, "loop", Activity.INFER)
    stuck = Stuck(limits(SETTINGS), 1000)
    watchdog = Watchdog(stuck, sheets, lambda: None, clock, lambda _: found.set())
    watchdog.start()
    assert not found.wait(1.5)
    clock.jumped_s = 3600
    looks = [watchdog.awake]
    assert not found.wait(2.5)
    looks.append(watchdog.awake)
    watchdog.close()
    assert looks == [False, True]


class Jumping(SystemClock):
    jumped_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.jumped_s


def test_a_call_that_hangs_is_found() -> None:
    found: list[Verdict] = []
    ended, release = threading.Event(), threading.Event()

    def hang() -> None:
        release.wait()

    def end(verdict: Verdict) -> None:
        found.append(verdict)
        ended.set()

    clock = SystemClock()
    sheets = Timesheets(clock.monotonic)
    pool = Threads(Hand.IO, 2, sheets)
    watchdog = Watchdog(
        Stuck(lambda m: 1 if m.activity is Activity.FETCH else 1e9, 1e9), sheets, lambda: None, clock, end
    )
    watchdog.start()
    pool.submit(Activity.FETCH, hang)
    assert ended.wait(20)
    release.set()
    pool.close()
    (verdict,) = found
    assert verdict.name.startswith("io-")
    assert verdict.activity == "fetch"


PROGRAM = """
import threading, time
from streamproc.telemetry.voice import configure_log
from streamproc.settings import LogSettings
from streamproc.worker.stuck import Verdict
from streamproc.worker.watchdog import end_process

configure_log(LogSettings())

def hang_here():
    threading.Event().wait()

threading.Thread(target=hang_here, daemon=True).start()
time.sleep(0.2)
end_process(Verdict("io-0", "fetch", 99.0))
"""


def test_the_end_writes_the_stacks_of_all_threads_and_exits_with_4(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=False, capture_output=True, text=True, cwd=tmp_path, env=os.environ
    )
    assert ran.returncode == 4
    assert '"cause": "stuck"' in ran.stderr
    assert "io-0 has been at fetch for 99 s" in ran.stderr
    assert "in hang_here" in ran.stderr
    assert ran.stderr.lower().count("thread 0x") == 2


FULL = """
import os, threading, time
from streamproc.telemetry.log import get_log
from streamproc.telemetry.voice import configure_log
from streamproc.settings import LogSettings
from streamproc.worker.stuck import Verdict
from streamproc.worker.watchdog import end_process

configure_log(LogSettings())
os.set_blocking(2, False)
try:
    while True:
        os.write(2, b"x" * 4096)
except BlockingIOError:
    os.set_blocking(2, True)
threading.Thread(target=lambda: get_log("loop").error("x" * 4096), daemon=True).start()
time.sleep(0.2)
end_process(Verdict("loop", "commit", 99.0))
"""


def test_the_end_comes_although_nobody_reads_the_log(tmp_path: Path) -> None:
    assert code_unread(FULL, tmp_path, os.environ, 60) == 4
