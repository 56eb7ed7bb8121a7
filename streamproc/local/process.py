"""Start, recognise and stop a process by an identity that a recycled process id does not have."""

import contextlib
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from streamproc.local.failure import LocalError

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STATE, THREADS, START = 0, 17, 19  # of /proc/<pid>/stat behind the command: fields 3, 20 and 22 of proc(5)
POLL_S = 0.02
KILL_S = 5
"""How long the kernel may take to remove a killed process."""


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process, for ever: a pid comes back, a pid with its start tick and boot does not."""

    pid: int
    started_ticks: int
    boot: str


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the state on; None without such a process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(")")[2].split()  # the command stands in parentheses and may hold anything


def identify(pid: int) -> ProcessId | None:
    """The process that has this pid now, or None."""
    stat = _stat(pid)
    return ProcessId(pid, int(stat[START]), BOOT_ID.read_text().strip()) if stat else None


def alive(process: ProcessId) -> bool:
    """Whether this very process still runs. One that ended and was ours is reaped on the way.

    While a process ends, its first thread may be a zombie already and others still hold its memory, files and ports.
    """
    if identify(process.pid) != process:
        return False
    stat = _stat(process.pid)
    if stat and (stat[STATE] not in "ZX" or int(stat[THREADS]) > 1):
        return True
    with contextlib.suppress(ChildProcessError):  # somebody else's child is theirs to reap
        os.waitpid(process.pid, os.WNOHANG)
    return False


def listens(process: ProcessId, port: int) -> bool:
    """Whether this very process listens on the port, and not another one that happens to."""
    try:
        sockets = psutil.Process(process.pid).net_connections(kind="tcp")
    except psutil.NoSuchProcess:
        return False
    return any(s.status == psutil.CONN_LISTEN and s.laddr.port == port for s in sockets)


def spawn(command: Sequence[str], environment: Mapping[str, str], log: Path) -> ProcessId:
    """Start a process that outlives us: its own session, no terminal, output to ``log``.

    ``posix_spawn`` rather than ``subprocess``: nobody here owns the process or waits for it.
    """
    defaults = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ]
    try:
        pid = os.posix_spawn(
            command[0],
            tuple(command),
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=defaults,
        )
    except OSError as error:
        raise LocalError(f"{command[0]} cannot be started: {error}", "Check that it is there and may be run.") from None
    process = identify(pid)
    if process is None:  # a child of ours stays in the process table until we reap it
        raise LocalError(f"{command[0]} (pid {pid}) vanished", "Run the command again.")
    return process


def stop(process: ProcessId, grace_s: float, asked_by: int = signal.SIGTERM) -> None:
    """End a process and its children: ask by a signal, wait ``grace_s``, kill. Raises LocalError if it will not go."""
    if not alive(process):
        return
    try:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, asked_by)
    if not gone(process, grace_s):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    for member in family[1:]:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(family[1:], timeout=KILL_S)
    if not gone(process, KILL_S):
        raise LocalError(f"process {process.pid} does not end, not even when killed", "Look at its state with `ps`.")


def gone(process: ProcessId, timeout_s: float) -> bool:
    """Whether the process ended within the time."""
    deadline = time.monotonic() + timeout_s
    while alive(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True
