"""A seccomp filter in classic BPF: what a decoder has no business doing is answered with EPERM (seccomp(2)).

Everything is denied that opens a file or a socket, starts or touches another process, or changes the system. What
stays is arithmetic, memory, time, and reading and writing descriptors that are already open.
"""

import ctypes
import os
import platform
import struct
from collections.abc import Sequence
from dataclasses import dataclass

_BOTH = {
    "pidfd_send_signal": 424,
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsmount": 432,
    "pidfd_open": 434,
    "clone3": 435,
    "openat2": 437,
    "pidfd_getfd": 438,
}
# fmt: off
_X86_64 = _BOTH | {
    "open": 2, "shmget": 29, "socket": 41, "connect": 42, "accept": 43, "bind": 49, "listen": 50, "socketpair": 53,
    "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "kill": 62, "semget": 64, "msgget": 68, "truncate": 76,
    "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86, "unlink": 87, "symlink": 88, "chmod": 90,
    "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "ptrace": 101, "rt_sigqueueinfo": 129, "mknod": 133,
    "personality": 135, "pivot_root": 155, "chroot": 161, "mount": 165, "umount2": 166, "reboot": 169,
    "init_module": 175, "delete_module": 176, "tkill": 200, "mq_open": 240, "kexec_load": 246, "add_key": 248,
    "request_key": 249, "keyctl": 250, "openat": 257, "mkdirat": 258, "mknodat": 259, "fchownat": 260,
    "unlinkat": 263, "renameat": 264, "linkat": 265, "symlinkat": 266, "fchmodat": 268, "unshare": 272,
    "accept4": 288, "rt_tgsigqueueinfo": 297, "perf_event_open": 298, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "finit_module": 313,
    "renameat2": 316, "memfd_create": 319, "kexec_file_load": 320, "bpf": 321, "execveat": 322, "userfaultfd": 323,
}
_AARCH64 = _BOTH | {
    "mknodat": 33, "mkdirat": 34, "unlinkat": 35, "symlinkat": 36, "linkat": 37, "renameat": 38, "umount2": 39,
    "mount": 40, "pivot_root": 41, "truncate": 45, "chroot": 51, "fchmod": 52, "fchmodat": 53, "fchownat": 54,
    "fchown": 55, "openat": 56, "personality": 92, "unshare": 97, "kexec_load": 104, "init_module": 105,
    "delete_module": 106, "ptrace": 117, "kill": 129, "tkill": 130, "rt_sigqueueinfo": 138, "reboot": 142,
    "mq_open": 180, "msgget": 186, "semget": 190, "shmget": 194, "socket": 198, "socketpair": 199, "bind": 200,
    "listen": 201, "accept": 202, "connect": 203, "add_key": 217, "request_key": 218, "keyctl": 219, "clone": 220,
    "execve": 221, "rt_tgsigqueueinfo": 240, "perf_event_open": 241, "accept4": 242, "name_to_handle_at": 264,
    "open_by_handle_at": 265, "setns": 268, "process_vm_readv": 270, "process_vm_writev": 271, "finit_module": 273,
    "renameat2": 276, "memfd_create": 279, "bpf": 280, "execveat": 281, "userfaultfd": 282, "kexec_file_load": 294,
}
# fmt: on


@dataclass(frozen=True, slots=True)
class _Machine:
    """``arch`` is the kernel's AUDIT_ARCH; tgkill and prlimit64 are allowed on oneself alone."""

    arch: int
    seccomp: int
    tgkill: int
    prlimit64: int
    denied: Sequence[int]
    foreign: int | None
    """From this number on a call belongs to another convention (x32), which the list does not cover."""


_MACHINES = {
    "x86_64": _Machine(0xC000003E, 317, 234, 302, tuple(_X86_64.values()), 0x40000000),
    "aarch64": _Machine(0xC00000B7, 277, 131, 261, tuple(_AARCH64.values()), None),
}
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_NUMBER, _ARCH, _FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000  # 1 is EPERM
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_INSTRUCTION = struct.Struct("<HBBI")


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _filter(machine: _Machine, pid: int) -> bytes:
    """Jumps count the instructions to skip when the comparison holds, and when it does not."""
    lines = [(_LOAD, 0, 0, _ARCH), (_IF_EQUAL, 1, 0, machine.arch), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER)]
    if machine.foreign is not None:
        lines += [(_IF_AT_LEAST, 0, 1, machine.foreign), (_RETURN, 0, 0, _KILL)]
    for number in machine.denied:
        lines += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _DENY)]
    for number, only in ((machine.tgkill, pid), (machine.prlimit64, 0)):
        lines += [
            (_IF_EQUAL, 0, 4, number),
            (_LOAD, 0, 0, _FIRST_ARGUMENT),
            (_IF_EQUAL, 1, 0, only),
            (_RETURN, 0, 0, _DENY),
            (_RETURN, 0, 0, _ALLOW),
        ]
    lines.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(_INSTRUCTION.pack(*line) for line in lines)


def deny() -> bool:
    """Put the filter on every thread of this process, for good. False where machine or kernel have none.

    Needs no_new_privs.
    """
    machine = _MACHINES.get(platform.machine())
    if machine is None:
        return False
    code = _filter(machine, os.getpid())
    program = _Program(len(code) // _INSTRUCTION.size, code)
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(machine.seccomp, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program))
    return result == 0
