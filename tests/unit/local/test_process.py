"""Processes are known by more than their pid, and end with all their children."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from streamproc.local.failure import LocalError
from streamproc.local.process import ProcessId, alive, identify, listens, spawn, stop

SLEEP = "import time; time.sleep(60)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
LEADERLESS = """
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
ctypes.CDLL(None).pthread_exit(None)
"""
PARENT = (
    "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    "print(p.pid, flush=True); time.sleep(60)"
)


def run(code: str, log: Path) -> ProcessId:
    return spawn((sys.executable, "-c", code), dict(os.environ), log)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_started_process_runs_until_it_is_stopped(tmp_path: Path) -> None:
    process = run(SLEEP, tmp_path / "log")
    assert alive(process)
    stop(process, grace_s=5)
    assert not alive(process)
    assert not psutil.pid_exists(process.pid)


def test_a_process_has_a_session_of_its_own(tmp_path: Path) -> None:
    process = run(SLEEP, tmp_path / "log")
    try:
        assert os.getsid(process.pid) == process.pid != os.getsid(0)
    finally:
        stop(process, grace_s=5)


def test_a_recycled_pid_is_not_the_process_and_is_never_stopped() -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEP]) as stranger:
        now = identify(stranger.pid)
        assert now is not None
        for before in (replace(now, started_ticks=now.started_ticks - 1), replace(now, boot="another boot")):
            assert not alive(before)
            stop(before, grace_s=1)
            assert stranger.poll() is None
        stranger.kill()


def test_two_processes_differ_by_their_start_whatever_their_pid(tmp_path: Path) -> None:
    first = run(SLEEP, tmp_path / "log")
    time.sleep(2 / os.sysconf("SC_CLK_TCK"))
    second = run(SLEEP, tmp_path / "log")
    try:
        assert second.started_ticks > first.started_ticks
    finally:
        stop(first, grace_s=5)
        stop(second, grace_s=5)


def test_a_killed_child_of_ours_is_gone_although_nobody_waited_for_it(tmp_path: Path) -> None:
    process = run(SLEEP, tmp_path / "log")
    os.kill(process.pid, signal.SIGKILL)
    wait_for(lambda: not alive(process))
    assert identify(process.pid) is None


def test_a_process_whose_first_thread_ended_still_runs_and_can_be_stopped(tmp_path: Path) -> None:
    process = run(LEADERLESS, tmp_path / "log")
    wait_for(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    assert alive(process)
    stop(process, grace_s=5)
    assert identify(process.pid) is None


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = run(DEAF, log)
    wait_for(lambda: "deaf" in log.read_text())
    stop(process, grace_s=0.2)
    assert not alive(process)


def test_children_end_with_their_parent(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = run(PARENT, log)
    wait_for(lambda: log.read_text().endswith("\n"))
    child = identify(int(log.read_text()))
    assert child is not None
    assert alive(child)
    stop(process, grace_s=5)
    assert not alive(child)


def test_a_listener_counts_only_if_it_is_the_process_itself(tmp_path: Path) -> None:
    other = run(SLEEP, tmp_path / "log")
    me = identify(os.getpid())
    assert me is not None
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert listens(me, port)
            assert not listens(other, port)
        assert not listens(me, port)
    finally:
        stop(other, grace_s=5)


def test_a_program_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match="no-such-program"):
        spawn(("/no-such-program",), {}, tmp_path / "log")


def test_the_log_is_for_its_owner_only(tmp_path: Path) -> None:
    log = tmp_path / "log"
    stop(run(SLEEP, log), grace_s=5)
    assert log.stat().st_mode & 0o077 == 0
