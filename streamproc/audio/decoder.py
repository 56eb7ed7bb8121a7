"""One decoder child, seen from the main process."""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, cast, get_args

from pydantic import TypeAdapter

from streamproc.arena import SLOT_SAMPLES, Arena, Lease
from streamproc.audio.limits import Limits
from streamproc.audio.protocol import MOST_BYTES, Kind, encode, split
from streamproc.audio.sandbox import Level
from streamproc.audio.timer import Timer
from streamproc.errors import Reason
from streamproc.records.decoding import Decoded, DecodeFailed, DecodeJob, DecoderEvent, SegmentReady, SlotWanted

START_S = 60.0
"""A child that has not said hello by then is taken for hung; it takes 0.4 s on an idle core."""
_LAST_BREATH_S = 1.0
"""Between the end of its socket and the end of the process; SIGKILL sooner could hide what it died of."""
MOST_DATAGRAMS = 256
"""Taken from a child in one read: more wait in the socket, so that talking without an end hides no deadline."""
MOST_TOGETHER = 4
"""Messages in one datagram; a child sends at most two, a segment and what follows it."""
_MOST_NUMBER = 2**31 - 1
"""What fits every column; no honest message is near it."""
_ENVIRONMENT = frozenset({"HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "VIRTUAL_ENV"})
"""What a child inherits: enough to import, and none of our settings, some of which are secrets."""
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}

_EVENTS: dict[str, TypeAdapter[Any]] = {
    Kind.WANT: TypeAdapter(SlotWanted),
    Kind.SEGMENT: TypeAdapter(SegmentReady),
    Kind.DECODED: TypeAdapter(Decoded),
    Kind.FAILED: TypeAdapter(DecodeFailed),
}


class Decoder:
    """A child process and the job it has. Not restarted: who owns it makes another one.

    Whatever the child says is checked, for a stranger's file may have taken it over: a message that does not fit ends
    it.
    """

    def __init__(self, arena: Arena, limits: Limits, now: float) -> None:
        self.level: str | None = None
        """Of the sandbox; None until the child said hello."""
        self.job: int | None = None
        self._limits = limits
        self._timer = Timer(limits, now)
        self._started = now
        self._wants = False  # asked for a slot, and none granted yet
        self._lease: Lease | None = None  # granted, and no segment reported in it yet
        self._segments = 0  # reported of the job
        self._closed = False  # it closed its socket, which is what dying looks like from here
        self._fault: str | None = None  # why we end it, or its last words
        self._late = False  # its time is over, which a busy machine can do to a good recording
        self._socket, self._process = _spawn(arena, limits)

    @property
    def fileno(self) -> int:
        """Readable when ``read`` has something to do."""
        return self._socket.fileno()

    @property
    def idle(self) -> bool:
        """Whether a job can be submitted."""
        return self.level is not None and self.job is None and not self._closed and self._fault is None

    @property
    def deadline(self) -> float | None:
        """When it will have taken too long: over its start, or over its job."""
        if self.level is None:
            return self._started + START_S
        return None if self.job is None else self._timer.deadline

    def submit(self, job: DecodeJob, now: float) -> None:
        """Hand over a recording's bytes in a sealed memory file: one copy, whatever their size."""
        self.job, self._wants, self._lease, self._segments = job.job, False, None, 0
        self._timer = Timer(self._limits, now)
        descriptor = _sealed(job.body)
        try:
            self._send(encode(job=job.job, channels=job.channels), descriptor)
        finally:
            os.close(descriptor)

    def grant(self, lease: Lease, now: float) -> None:
        """Answer SlotWanted."""
        self._wants, self._lease = False, lease
        self._timer.resume(now)
        self._send(encode(slot=lease.slot, generation=lease.generation))

    def _send(self, message: bytes, *descriptors: int) -> None:
        # A child that is gone, or so stuck that its socket is full, is found by ``read`` and by the timer.
        with suppress(OSError):
            socket.send_fds(self._socket, [message], descriptors)

    def read(self, now: float) -> Iterator[DecoderEvent]:
        """Events that came since the last read, or the first of them: the descriptor stays readable then."""
        for _ in range(MOST_DATAGRAMS):
            if self._closed or self._fault is not None:
                return
            try:
                data = self._socket.recv(MOST_BYTES)
            except BlockingIOError:
                return
            except ConnectionResetError:  # it died before reading all we sent; what it said before is still there
                continue
            if not data:
                self._closed = True
                return
            yield from self._heard(split(data), now)

    def _heard(self, messages: Sequence[bytes], now: float) -> Iterator[DecoderEvent]:
        """The events in one datagram, up to what makes no sense."""
        if len(messages) > MOST_TOGETHER:
            self._fault = f"the decoder said {len(messages)} things at once"
        for message in messages:
            if self._fault is not None:
                return
            try:
                event = self._understand(message, now)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                self._fault = f"the decoder said something that makes no sense ({type(error).__name__})"
                return
            if event is not None:
                yield event

    def _understand(self, data: bytes, now: float) -> DecoderEvent | None:
        """Note what a message says; return the event in it. Raises ValueError and kin when it does not fit."""
        message = _JSON.decode(data.decode())
        kind = message.pop("kind")
        if kind == Kind.HELLO:
            if self.level is not None or message["level"] not in get_args(Level):
                raise ValueError(kind)
            self.level = message["level"]
            return None
        if kind == Kind.REACHED:
            if self.job is None or self._wants:
                raise ValueError(kind)
            self._timer.reached(float(message["seconds"]))
            return None
        if kind == Kind.CRASHED:
            self._fault = str(message["message"])
            return None
        event = cast("DecoderEvent", _EVENTS[kind].validate_json(json.dumps(message), strict=True))
        if self.job is None or event.job != self.job:
            raise ValueError(kind)
        if not self._agreed(event):
            raise ValueError(kind)
        if isinstance(event, SlotWanted):
            self._wants = True
            self._timer.pause(now)
        elif isinstance(event, SegmentReady):
            self._lease = None
            self._segments += 1
        else:
            self.job = None
        return event

    def _agreed(self, event: DecoderEvent) -> bool:
        """Whether it is the event's turn, and it counts as we do: the worker waits for every segment announced."""
        match event:
            case SlotWanted():
                return not self._wants and self._lease is None
            case SegmentReady():
                fits = 0 < event.samples <= SLOT_SAMPLES and event.speech_ms > 0
                return fits and event.lease == self._lease and event.index == self._segments
            case Decoded():
                return event.segments == self._segments
            case DecodeFailed():
                return True

    def ended(self, now: float) -> bool:
        """Whether the child is to be reaped: it ended, spoke nonsense, or outlasted its time."""
        deadline = self.deadline
        if not self._closed and self._fault is None and deadline is not None and now >= deadline:
            self._fault = f"not decoded within {self._timer.allowed_s:.0f} s"
            self._late = True
        return self._closed or self._fault is not None

    def reap(self) -> DecodeFailed | None:
        """Make sure that it is dead, and say what became of its job. Nothing writes to its slot afterwards."""
        if self._closed:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_LAST_BREATH_S)
        self.kill()
        if self.job is None:
            return None
        if self._fault is not None:
            return DecodeFailed(self.job, Reason.DECODE_FAILED, self._fault, self._late)
        code = self._process.returncode
        if code >= 0 or code == -signal.SIGXCPU:
            return DecodeFailed(self.job, Reason.DECODE_FAILED, self._epitaph())
        # By its recording, by somebody, or by a kernel short of memory: only another try tells.
        return DecodeFailed(self.job, Reason.KILLED_WORKER, self._epitaph(), transient=True)

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid

    @property
    def why(self) -> str:
        """Why it ended, or was ended, once it was reaped."""
        return self._fault or self._epitaph()

    def _epitaph(self) -> str:
        code = self._process.returncode
        if code >= 0:
            return f"the decoder ended with exit code {code}"
        if code == -signal.SIGXCPU:
            return f"the decoder used more than {self._timer.allowed_s:.0f} s of CPU"
        return f"the decoder was ended by {signal.Signals(-code).name}"

    def kill(self) -> None:
        """End the process now and wait until it has ended, which takes the kernel no longer than a moment."""
        self._process.kill()
        self._process.wait()
        self._socket.close()


def _spawn(arena: Arena, limits: Limits) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    environment = {name: value for name, value in os.environ.items() if name in _ENVIRONMENT} | _ONE_THREAD
    numbers = (str(theirs.fileno()), str(arena.descriptor), str(arena.slots))
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "streamproc.audio.child", *numbers, json.dumps(asdict(limits))],
            pass_fds=(theirs.fileno(), arena.descriptor),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=environment,
            process_group=0,  # a Ctrl-C is ours to handle; the child would die of it while it still imports
        )
    return ours, process


def _number(digits: str) -> int:
    number = int(digits)
    if abs(number) > _MOST_NUMBER:
        raise ValueError("number")
    return number


_JSON = json.JSONDecoder(parse_int=_number)


def _sealed(body: bytes) -> int:
    """An anonymous file that nobody can change any more, as the child reads it while we hold the same pages."""
    descriptor = os.memfd_create("streamproc-recording", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        rest = memoryview(body)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
