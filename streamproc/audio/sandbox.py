"""What a decoder child gives up before it reads the first byte of a stranger's file."""

import ctypes
import math
import os
import resource
import signal
from typing import Literal

from streamproc.audio import seccomp

Level = Literal["full", "rlimits"]
"""``full``: no new files, sockets or processes (seccomp) and bounded memory; ``rlimits``: the bounds alone."""

MOST_DESCRIPTORS = 32
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends, however it ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def lock(memory_bytes: int) -> Level:
    """Give up, for good, everything that decoding does not need. Call after all imports: no file opens afterwards.

    ``memory_bytes`` is of address space, what is mapped already included. The processes of a user who is not root are
    counted per user, so a limit of 0 means that this process starts none, nor threads.
    """
    ceilings = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NOFILE: MOST_DESCRIPTORS,
        resource.RLIMIT_NPROC: 0,
    }
    for kind, wanted in ceilings.items():
        hard = resource.getrlimit(kind)[1]
        ceiling = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (ceiling, ceiling))
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    return "full" if seccomp.deny() else "rlimits"


def allow_cpu(seconds: float) -> None:
    """Let this process use ``seconds`` of CPU time from now on; past them the kernel kills it (SIGXCPU).

    The limit counts from the birth of the process, so what was used is added. Only the soft one moves: a hard one that
    was lowered stays.
    """
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = math.ceil(usage.ru_utime + usage.ru_stime + seconds)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
