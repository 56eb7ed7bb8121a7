"""What the main process makes of a child that a recording has taken over: here it says what the test wants."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import pytest

from streamproc.arena import Arena, Lease
from streamproc.audio import decoder as module
from streamproc.audio.decoder import MOST_DATAGRAMS, Decoder
from streamproc.audio.protocol import Kind, encode_event, join, split
from streamproc.errors import Reason
from streamproc.records.analysis import AudioInfo
from streamproc.records.decoding import Decoded, DecodeFailed, DecodeJob, DecoderEvent, SegmentReady, SlotWanted
from tests.unit.audio.sounds import LIMITS

LEASE = Lease(0, 1)


@dataclass
class Taken:
    """The decoder, and the mouth of its child."""

    decoder: Decoder
    mouth: socket.socket
    events: list[DecoderEvent] = field(default_factory=list)

    def say(self, *messages: bytes | dict[str, Any]) -> None:
        """Say it, and have it read."""
        for message in messages:
            self.mouth.send(message if isinstance(message, bytes) else json.dumps(message).encode())
        self.events += self.decoder.read(0)

    def fate(self) -> str:
        """What became of the job."""
        assert self.decoder.ended(0)
        failed = self.decoder.reap()
        assert isinstance(failed, DecodeFailed)
        assert (failed.job, failed.reason, failed.transient) == (1, Reason.DECODE_FAILED, False)
        return failed.message


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Taken]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    monkeypatch.setattr(module, "_spawn", lambda *_: (ours, process))
    arena = Arena(1)
    taken = Taken(Decoder(arena, LIMITS, 0), theirs)
    taken.say({"kind": "hello", "level": "full"})
    taken.decoder.submit(DecodeJob(1, b"x", "mix"), 0)
    yield taken
    taken.decoder.kill()
    theirs.close()
    arena.close()


WANT = {"kind": "want", "job": 1}
SEGMENT = {
    "kind": "segment",
    "job": 1,
    "lease": list(LEASE),
    "index": 0,
    "channel": -1,
    "start_ms": 0,
    "end_ms": 1000,
    "speech_ms": 1000,
    "level_dbfs": -20.0,
    "samples": 16_000,
}
INFO = {"duration_ms": 1000, "sample_rate": 16_000, "channel_count": 1, "codec": "flac"}
DECODED = {"kind": "decoded", "job": 1, "info": INFO, "segments": 1, "speech_ms": 1000}


def test_a_child_that_keeps_to_the_rules_is_understood(taken: Taken) -> None:
    taken.say({"kind": "reached", "seconds": 1}, WANT)
    taken.decoder.grant(LEASE, 0)
    taken.say(SEGMENT, DECODED)
    assert [type(event).__name__ for event in taken.events] == ["SlotWanted", "SegmentReady", "Decoded"]
    assert taken.decoder.idle


def test_several_messages_may_come_in_one_datagram(taken: Taken) -> None:
    taken.say(WANT)
    taken.decoder.grant(LEASE, 0)
    taken.say(join([json.dumps(SEGMENT).encode(), json.dumps(DECODED).encode()]))
    assert [type(event).__name__ for event in taken.events] == ["SlotWanted", "SegmentReady", "Decoded"]
    assert taken.decoder.idle


def test_what_follows_nonsense_in_a_datagram_is_not_heard(taken: Taken) -> None:
    taken.say(join([json.dumps(WANT).encode(), b"[", json.dumps(DECODED | {"segments": 0}).encode()]))
    assert taken.events == [SlotWanted(1)]
    assert "makes no sense" in taken.fate()


EVENTS = [
    SlotWanted(7),
    SegmentReady(7, Lease(3, 2**31 - 1), 0, -1, 0, 5000, 4990, -23.456789012345678, 80_000),
    Decoded(7, AudioInfo(5000, 16_000, 2, 'a "codec"\n of two lines'), 1, 4990),
    DecodeFailed(7, Reason.DECODE_FAILED, "a line\nand another", transient=True),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_is_the_same_message_as_with_all_its_copies_and_stays_in_its_line(event: DecoderEvent) -> None:
    message = encode_event(event)
    body = json.loads(message)
    assert Kind(body.pop("kind"))
    assert body == json.loads(json.dumps(asdict(event)))
    assert split(join([message, message])) == [message, message]


@pytest.mark.parametrize(
    "message",
    [
        b"[" * 16_000,
        b"\n",
        b"\xff",
        b"[]",
        {"kind": "reached", "seconds": 10**400},
        {"kind": "hello", "level": "full"},
        {"kind": "hello", "level": "what it likes"},
        {"kind": ["want"]},
        WANT | {"job": 2},
        SEGMENT,
        DECODED,  # one segment is counted and none was sent: the worker would wait for it for ever
        DECODED | {"segments": 0, "info": INFO | {"sample_rate": 2**31}},
    ],
    ids=str,
)
def test_what_makes_no_sense_ends_the_child_and_its_job_alone(taken: Taken, message: bytes | dict[str, Any]) -> None:
    taken.say(message)
    assert taken.events == []
    assert "makes no sense" in taken.fate()


def test_a_slot_is_not_wanted_twice(taken: Taken) -> None:
    taken.say(WANT, WANT)
    assert taken.events == [SlotWanted(1)]
    assert "makes no sense" in taken.fate()


def test_no_slot_is_wanted_while_one_is_granted(taken: Taken) -> None:
    taken.say(WANT)
    taken.decoder.grant(LEASE, 0)
    taken.say(WANT)
    assert taken.events == [SlotWanted(1)]
    assert "makes no sense" in taken.fate()


@pytest.mark.parametrize(
    "change", [{"lease": [0, 2]}, {"index": 1}, {"samples": 0}, {"samples": 240_001}, {"speech_ms": 0}], ids=str
)
def test_a_segment_that_was_not_agreed_on_ends_the_child(taken: Taken, change: dict[str, Any]) -> None:
    taken.say(WANT)
    taken.decoder.grant(LEASE, 0)
    taken.say(SEGMENT | change)
    assert not any(isinstance(event, SegmentReady) for event in taken.events)
    assert "makes no sense" in taken.fate()


def test_audio_is_not_reached_while_a_slot_is_waited_for(taken: Taken) -> None:
    # No timer runs then: whoever may talk without an end could keep us listening.
    taken.say(WANT, {"kind": "reached", "seconds": 1})
    assert "makes no sense" in taken.fate()


def test_a_child_that_never_stops_talking_does_not_keep_us_from_its_timer(
    taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = 0

    def recv(_: int) -> bytes:
        nonlocal heard
        heard += 1
        assert heard < 10 * MOST_DATAGRAMS
        return b'{"kind": "reached", "seconds": 1}'

    class Talking:
        def __init__(self, sock: socket.socket) -> None:
            self.recv = recv
            self.close = sock.close

    monkeypatch.setattr(taken.decoder, "_socket", Talking(taken.decoder._socket))
    assert list(taken.decoder.read(0)) == []
    assert heard == MOST_DATAGRAMS


def test_what_is_said_with_or_after_too_much_is_not_heard(taken: Taken) -> None:
    many = b"\n".join([b'{"kind": "reached", "seconds": 1}'] * 5)
    taken.say(many)
    assert "5 things at once" in taken.fate()


def test_a_ctrl_c_does_not_reach_a_child() -> None:
    arena = Arena(1)
    channel, process = module._spawn(arena, LIMITS)
    try:
        assert os.getpgid(process.pid) != os.getpgrp()
    finally:
        process.kill()
        process.wait()
        channel.close()
        arena.close()
