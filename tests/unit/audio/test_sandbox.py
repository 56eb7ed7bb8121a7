import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from streamproc.audio import seccomp

PRELUDE = """
import ctypes, fcntl, mmap, os, resource, signal, socket, sys, threading
import numpy as np
from streamproc.audio import sandbox
ready, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
level = sandbox.lock(4 << 30)
assert level == "full", level
def refused(call, *arguments, error=PermissionError):
    try:
        call(*arguments)
    except error:
        return
    os._exit(9)
libc = ctypes.CDLL(None, use_errno=True)
def refused_in_c(call, *arguments, number=1):
    assert call(*arguments) == -1 and ctypes.get_errno() == number, ctypes.get_errno()
"""


LATE_THREAD = """
import os, threading
from streamproc.audio import sandbox
go, seen = threading.Event(), []
def late():
    go.wait()
    try:
        open('/etc/hostname').close()
    except PermissionError:
        seen.append(True)
thread = threading.Thread(target=late)
thread.start()
assert sandbox.lock(4 << 30) == 'full'
go.set()
thread.join()
assert seen
"""


def run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)


def locked(snippet: str) -> subprocess.CompletedProcess[str]:
    """Run a snippet in an interpreter that has given up what decoders give up."""
    return run(PRELUDE + snippet)


def test_work_goes_on_behind_the_lock() -> None:
    done = locked("ready.send(b'x'); assert other.recv(9) == b'x'; print(np.ones(10**6).sum(), flush=True)")
    assert (done.returncode, done.stdout, done.stderr) == (0, "1000000.0\n", "")


@pytest.mark.parametrize(
    "call",
    [
        "refused(socket.socket)",
        "refused(socket.socketpair)",
        "refused(os.execv, '/bin/true', ['true'])",
        "refused(os.fork)",
        "refused(os.posix_spawn, '/bin/true', ['true'], {})",
        "refused(open, '/etc/hostname')",
        "refused(open, '/tmp/streamproc-never-written', 'w')",
        "refused(os.open, '/proc/self/environ', os.O_RDONLY)",
        "refused(os.kill, os.getppid(), 0)",
        "refused(os.unlink, '/tmp/streamproc-never-there')",
        "refused(os.mkdir, '/tmp/streamproc-never-made')",
        "refused(os.chmod, '/tmp', 0o777)",
        "refused(os.memfd_create, 'x')",
        "refused(resource.prlimit, os.getppid(), resource.RLIMIT_CPU)",
        "refused(threading.Thread(target=print).start, error=RuntimeError)",
        "assert ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == -1",
        "refused(fcntl.fcntl, ready, fcntl.F_SETOWN, os.getppid())",
        "refused(fcntl.fcntl, ready, fcntl.F_SETSIG, signal.SIGKILL)",
        "refused(fcntl.ioctl, ready, 0x8901, os.getppid().to_bytes(4, sys.byteorder))  # FIOSETOWN",
        "refused(os.utime, '/tmp')",
        "refused(os.setxattr, '/tmp', 'user.streamproc', b'')",
        "refused(os.removexattr, '/tmp', 'user.streamproc')",
        "refused(os.ftruncate, ready.fileno(), 0)",
        "refused(os.sched_setaffinity, os.getppid(), os.sched_getaffinity(0))",
        "refused(os.sched_setscheduler, os.getppid(), os.SCHED_OTHER, os.sched_param(0))",
        "refused(os.setpriority, os.PRIO_PROCESS, os.getppid(), os.getpriority(os.PRIO_PROCESS, os.getppid()))",
        "refused(socket.sethostname, socket.gethostname())",
        "refused_in_c(libc.inotify_init)",
        "refused_in_c(libc.inotify_init1, 0)",
        "refused_in_c(libc.shmat, -1, 0, 0)",
        "refused_in_c(libc.semctl, -1, 0, 0)",
        "refused_in_c(libc.swapoff, b'/tmp/streamproc-never-there')",
        "refused_in_c(libc.syscall, 433, -1, 0, 0)  # fspick",
        "refused_in_c(libc.syscall, 440, -1, 0, 0, 0, 0)  # process_madvise",
        "refused_in_c(libc.syscall, 447, 0)  # memfd_secret",
        "refused_in_c(libc.syscall, 452, -100, b'/tmp', 0o1777, 0, number=38)  # fchmodat2: newer than the list",
        "refused(np.ones, 1 << 30, error=MemoryError)",
        "refused(resource.setrlimit, resource.RLIMIT_NOFILE, (64, 64), error=ValueError) if os.geteuid() else None",
    ],
)
def test_what_decoding_does_not_need_is_refused(call: str) -> None:
    done = locked(call)
    assert done.returncode == 0, done.stderr


def test_no_thread_that_was_there_before_escapes() -> None:
    done = run(LATE_THREAD)
    assert done.returncode == 0, done.stderr


def test_cpu_time_is_granted_from_now_on_and_its_end_is_a_signal() -> None:
    done = locked("sandbox.allow_cpu(0.2)\nwhile True: pass")
    assert done.returncode == -signal.SIGXCPU


def test_more_cpu_time_can_be_granted_again() -> None:
    snippet = "import time\nfor _ in range(3):\n sandbox.allow_cpu(1)\n end = time.process_time() + 0.6\n"
    done = locked(snippet + " while time.process_time() < end: pass")
    assert done.returncode == 0, done.stderr


def test_a_child_dies_with_its_parent() -> None:
    script = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'from streamproc.audio import sandbox\\n"
        "sandbox.die_with_parent(); print(flush=True)\\nimport time; time.sleep(60)'], stdout=subprocess.PIPE)\n"
        "child.stdout.readline(); print(child.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
    deadline = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state not in "ZX"


def test_a_machine_without_a_filter_is_said_to_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert seccomp.deny() is False
