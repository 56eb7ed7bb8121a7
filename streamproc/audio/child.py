"""A decoder child: ``python -m streamproc.audio.child SOCKET ARENA SLOTS LIMITS``.

SOCKET and ARENA are inherited descriptors, LIMITS is JSON. Everything that touches the bytes of a recording happens
here, one recording at a time, behind the sandbox. Ends when the other side closes the socket.
"""

import io
import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from streamproc.arena import SAMPLE_RATE, ArenaMap, Lease
from streamproc.audio import sandbox
from streamproc.audio.container import open_container
from streamproc.audio.decode import open_stream
from streamproc.audio.limits import FIRST_S, Limits, readable
from streamproc.audio.prepare import duration_ms, prepare
from streamproc.audio.protocol import MOST_BYTES, Kind, encode, encode_event, join
from streamproc.audio.segment import Segment
from streamproc.audio.sndfile import open_sndfile
from streamproc.audio.sniff import Kind as Sound
from streamproc.audio.stream import Stream
from streamproc.audio.voice import WINDOW, Voice, load_session
from streamproc.errors import PoisonError, Reason
from streamproc.records.analysis import AudioInfo
from streamproc.records.decoding import Decoded, DecodeFailed, SegmentReady, SlotWanted
from streamproc.records.recording import Channels

_REPORT_S = FIRST_S
"""Audio-seconds between two ``reached`` messages: finer steps would grant a second more or less."""

_ROOM_BYTES = 128 * 1024**2
"""What the longest recording of 8 channels needs beside the libraries, with as much again to spare."""


class Child:
    """One child's side of the conversation."""

    def __init__(self, channel: socket.socket, arena: ArenaMap, limits: Limits, session: Any) -> None:
        self._channel = channel
        self._arena = arena
        self._limits = limits
        self._session = session
        self._job = 0
        self._frames = 0  # decoded of the current job
        self._ended = False  # whether all of it is
        self._held: list[bytes] = []  # messages that go with the next one

    def serve(self) -> None:
        """Decode what comes until the main process closes its side."""
        while True:
            data, descriptors, _, _ = socket.recv_fds(self._channel, MOST_BYTES, 1)
            if not data:
                return
            request = json.loads(data)
            self._job, self._frames, self._ended = request["job"], 0, False
            with _closing(descriptors[0]) as descriptor:
                self._answer(descriptor, request["channels"])

    def _answer(self, descriptor: int, channels: Channels) -> None:
        try:
            decoded = self._decode(descriptor, channels)
        except PoisonError as error:
            self._say(encode_event(DecodeFailed(self._job, error.reason, error.message)))
        except MemoryError:
            message = f"needs more than the {self._limits.memory_bytes} bytes of a decoder"
            self._say(encode_event(DecodeFailed(self._job, Reason.DECODE_FAILED, message)))
        except Exception as error:
            self._say(encode(kind=Kind.CRASHED, message=readable(error)))
            raise
        else:
            self._say(encode_event(decoded))

    def _say(self, message: bytes) -> None:
        """Send a message, together with those that were held for it."""
        self._channel.send(join([*self._held, message]))
        self._held.clear()

    def _decode(self, descriptor: int, channels: Channels) -> Decoded:
        sandbox.allow_cpu(self._limits.allowed_s(FIRST_S))
        index = speech_ms = 0
        with open_stream(descriptor, self._limits) as stream:
            tracks = 1 if channels == "mix" else stream.channel_count
            if (declared_s := (stream.frames or 0) / stream.sample_rate * tracks) > FIRST_S:
                self._report(declared_s)
            watched = replace(stream, blocks=self._watched(stream, tracks))
            for segment in prepare(watched, channels, self._session):
                speech_ms += self._deliver(index, segment)
                index += 1
            length_ms = duration_ms(self._frames, stream.sample_rate)
            info = AudioInfo(length_ms, stream.sample_rate, stream.channel_count, stream.codec)
        return Decoded(self._job, info, index, speech_ms)

    def _watched(self, stream: Stream, tracks: int) -> Iterator[NDArray[np.float32]]:
        """Count what goes by, and say so where the header did not declare it."""
        reported = max(_REPORT_S, (stream.frames or 0) / stream.sample_rate * tracks)
        for block in stream.blocks:
            self._frames += len(block)
            seconds = self._frames / stream.sample_rate * tracks
            if seconds >= reported + _REPORT_S:
                reported = seconds
                self._report(seconds)
            yield block
        self._ended = True

    def _report(self, seconds: float) -> None:
        """There are so many seconds of audio: both our CPU time and the main process's timer grow with them."""
        sandbox.allow_cpu(self._limits.allowed_s(seconds))
        self._say(encode(kind=Kind.REACHED, seconds=seconds))

    def _deliver(self, index: int, segment: Segment) -> int:
        """Wait for a slot and fill it; return the segment's ms of speech."""
        self._say(encode_event(SlotWanted(self._job)))
        data = self._channel.recv(MOST_BYTES)
        if not data:
            raise SystemExit
        grant = json.loads(data)
        lease = Lease(grant["slot"], grant["generation"])
        self._arena.write(lease, segment.wave)
        ready = SegmentReady(
            job=self._job,
            lease=lease,
            index=index,
            channel=segment.channel,
            start_ms=_ms(segment.start),
            end_ms=_ms(segment.end),
            speech_ms=_ms(segment.speech),
            level_dbfs=segment.level_dbfs,
            samples=len(segment.wave),
        )
        self._held.append(encode_event(ready))
        if not self._ended:  # decoding goes on, and the device shall not wait for that
            self._channel.send(self._held.pop())
        return ready.speech_ms


def _ms(samples: int) -> int:
    return samples * 1000 // SAMPLE_RATE


@contextmanager
def _closing(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _rehearse(session: Any) -> None:
    """Do once what will be done later: libraries import parts of themselves on first use, and no file opens then."""
    Voice(session).hear(np.zeros((1, WINDOW), np.float32))
    file = io.BytesIO()
    soundfile.write(file, np.zeros(SAMPLE_RATE // 10, np.float32), SAMPLE_RATE, format="FLAC")
    with _closing(os.memfd_create("streamproc-rehearsal")) as descriptor:
        os.write(descriptor, file.getvalue())
        for opened in (open_sndfile, open_container):
            os.lseek(descriptor, 0, os.SEEK_SET)
            with opened(Sound.FLAC, descriptor) as stream:
                next(stream.blocks)


def _check_memory(limits: Limits, shared: int) -> None:
    """Raise SystemExit when the limit is so low that every recording would fail for it, which is nobody's fault."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    used = pages * resource.getpagesize() - shared
    if limits.memory_bytes < used + _ROOM_BYTES:
        message = (
            f"a decoder needs {used} bytes to begin with and {_ROOM_BYTES} to work in; "
            f"audio.decoder_memory_bytes is {limits.memory_bytes}"
        )
        raise SystemExit(message)


def main(arguments: list[str]) -> None:
    """Load everything, lock the doors, work."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the main process; it drains and closes the socket
    sandbox.die_with_parent()
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=int(arguments[0]))
    arena = ArenaMap(int(arguments[1]), int(arguments[2]))
    limits = Limits(**json.loads(arguments[3]))
    session = load_session()
    _rehearse(session)
    shared = os.fstat(arena.descriptor).st_size  # mapped, yet no memory of ours
    _check_memory(limits, shared)
    # From here on libraries may print what a stranger's file says; until here it is our own start that may fail.
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stderr.fileno())
    os.close(null)
    level = sandbox.lock(limits.memory_bytes + shared)
    channel.send(encode(kind=Kind.HELLO, level=level))
    Child(channel, arena, limits, session).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
