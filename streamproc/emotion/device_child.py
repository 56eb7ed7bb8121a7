"""The process that owns the accelerator, as the main process starts it, hears it and ends it."""

import os
import socket
import subprocess
import sys

from streamproc.arena import ArenaMap
from streamproc.emotion.device_message import MAX_BYTES, Start, encode_start
from streamproc.settings import ModelSettings

MODULE = "streamproc.emotion.device_main"
MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
    "MALLOC_TOP_PAD_": str(64 << 20),
}
"""glibc's: keep what one batch frees for the next one. Page faults for fresh memory cost up to a quarter of the time.

Huge pages (glibc.malloc.hugetlb) would save a lone short clip some 3 %, and cost 1.5 s at the start.
"""


class DeviceChild:
    """One process and our end of its socket."""

    def __init__(self, settings: ModelSettings, arena: ArenaMap) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.setblocking(False)
        with theirs:
            start = Start(
                socket=theirs.fileno(),
                arena=arena.descriptor,
                slots=arena.slots,
                engine=settings.engine,
                model=settings.name_or_dir,
                device=settings.device,
                precision=settings.precision,
                weights=settings.weights,
                threads=settings.threads,
                max_batch_seconds=settings.max_batch_seconds,
            )
            self.process = subprocess.Popen(
                [sys.executable, "-m", MODULE, encode_start(start)],
                stdin=subprocess.DEVNULL,
                stdout=sys.__stderr__,  # our stdout may be somebody's table or JSON
                pass_fds=(theirs.fileno(), arena.descriptor),
                env=MEMORY | os.environ,
                process_group=0,  # a Ctrl-C is ours to handle; the child would die of it while it still imports
            )
        self.pidfd = os.pidfd_open(self.process.pid)
        self.silent_since: float | None = None
        self.warm = False

    def receive(self) -> bytes | None:
        """One message; empty when there will be no more, None when there is none now."""
        try:
            return self.socket.recv(MAX_BYTES)
        except BlockingIOError:
            return None
        except ConnectionError:
            return b""

    def close(self, grace_s: float) -> None:
        """Drop the socket, which ends the child, and see it gone."""
        self.socket.close()
        os.close(self.pidfd)
        try:
            self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
