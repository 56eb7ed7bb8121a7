"""The pool with real children."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from streamproc.arena import Arena, Lease
from streamproc.audio.pool import FALSE_STARTS, DecoderPool
from streamproc.errors import FatalError, Reason
from streamproc.records.decoding import Decoded, DecodeFailed, DecodeJob, DecoderEvent, SegmentReady, SlotWanted
from streamproc.records.recording import Channels
from streamproc.settings import AudioSettings
from streamproc.worker.ports import Decoders
from tests.unit.audio.sounds import Wave, contained, encoded, noise, reference_16k, talk

PATIENCE_S = 30
GOOD = encoded(noise(1), 16_000, "FLAC")
jobs = count(1)


@dataclass
class Outcome:
    """What a job ended with, and the segments it gave."""

    end: Decoded | DecodeFailed
    segments: list[SegmentReady] = field(default_factory=list)
    waves: list[Wave] = field(default_factory=list)


@dataclass
class Bench:
    """A pool with an arena, driven as the worker's loop drives it."""

    arena: Arena
    pool: DecoderPool

    def take_until(self, wanted: Callable[[], object]) -> list[DecoderEvent]:
        """Take events until the condition holds."""
        events: list[DecoderEvent] = []
        deadline = time.monotonic() + PATIENCE_S
        while not wanted():
            assert time.monotonic() < deadline, f"nothing but {events}"
            select.select(self.pool.filenos(), [], [], 0.2)
            events += self.pool.take(time.monotonic())
        return events

    def ready(self) -> None:
        self.take_until(self.pool.idle)

    def submit(self, body: bytes, channels: Channels = "mix") -> int:
        self.ready()
        job = next(jobs)
        self.pool.submit(DecodeJob(job, body, channels))
        return job

    def busy(self, body: bytes = GOOD) -> int:
        """A job whose child waits for a slot that nobody grants."""
        job = self.submit(body)
        events: list[DecoderEvent] = []
        self.take_one(events)
        assert events == [SlotWanted(job)]
        return job

    def take_one(self, events: list[DecoderEvent]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not events:
            assert time.monotonic() < deadline
            select.select(self.pool.filenos(), [], [], 0.2)
            events += self.pool.take(time.monotonic())

    def decode(self, body: bytes, channels: Channels = "mix") -> Outcome:
        """One job from begin to end, each slot granted and given back at once."""
        job = self.submit(body, channels)
        segments: list[SegmentReady] = []
        waves: list[Wave] = []
        while True:
            events: list[DecoderEvent] = []
            self.take_one(events)
            for event in events:
                assert event.job == job
                match event:
                    case SlotWanted():
                        lease = self.arena.lease()
                        assert lease is not None
                        self.pool.grant(job, lease)
                    case SegmentReady():
                        segments.append(event)
                        waves.append(self.arena.read(event.lease))
                        self.arena.release(event.lease)
                    case Decoded() | DecodeFailed():
                        return Outcome(event, segments, waves)

    def pid(self) -> int:
        return self.pool._decoders[0]._process.pid


def make_bench(**settings: object) -> Bench:
    arena = Arena(3)
    pool = DecoderPool(arena, AudioSettings.model_validate({"decoders": 1} | settings))
    pool.start(time.monotonic())
    return Bench(arena, pool)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    bench = make_bench()
    yield bench
    bench.pool.close()
    bench.arena.close()


def failure(outcome: Outcome) -> tuple[Reason, bool]:
    assert isinstance(outcome.end, DecodeFailed)
    assert outcome.segments == []
    return outcome.end.reason, outcome.end.transient


def test_the_pool_has_the_shape_of_its_port(bench: Bench) -> None:
    decoders: Decoders = bench.pool  # what this asserts, mypy checks
    assert decoders is bench.pool


def test_the_main_process_loads_no_decoding_library() -> None:
    libraries = "{'av', 'onnxruntime', 'soundfile', 'soxr'}"
    script = f"import sys, streamproc.audio.pool; print({libraries} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "set()\n"


def test_a_child_is_idle_once_it_said_hello_behind_the_full_sandbox(bench: Bench) -> None:
    bench.ready()
    assert (bench.pool.idle(), bench.pool.sandbox) == (1, "full")
    assert len(bench.pool.filenos()) == 1


def test_a_recording_becomes_a_segment_in_a_slot(bench: Bench) -> None:
    data = encoded(noise(2.5, 44_100, 2), 44_100, "FLAC")
    outcome = bench.decode(data)
    assert isinstance(outcome.end, Decoded)
    assert (outcome.end.segments, outcome.end.speech_ms) == (1, 2500)
    info = outcome.end.info
    assert (info.duration_ms, info.sample_rate, info.channel_count, info.codec) == (2500, 44_100, 2, "flac")
    (segment,) = outcome.segments
    assert (segment.index, segment.channel, segment.start_ms, segment.end_ms) == (0, -1, 0, 2500)
    assert (segment.speech_ms, segment.samples) == (2500, 40_000)
    assert segment.level_dbfs == pytest.approx(20 * np.log10(outcome.waves[0].std()), abs=0.01)
    np.testing.assert_allclose(outcome.waves[0], reference_16k(data), atol=1e-6, rtol=0)


STEREO = noise(1, 48_000, 2)


@pytest.mark.parametrize(
    ("data", "codec"),
    [
        (encoded(STEREO, 48_000, "WAV", "PCM_24"), "pcm_s24le"),
        (encoded(STEREO, 48_000, "WAV", "ULAW"), "pcm_mulaw"),
        (encoded(STEREO, 48_000, "OGG", "VORBIS"), "vorbis"),
        (encoded(STEREO, 48_000, "OGG", "OPUS"), "opus"),
        (encoded(STEREO, 48_000, "MP3"), "mp3"),
        (contained(STEREO, 48_000, "mp4", "aac"), "aac"),
        (contained(STEREO, 48_000, "mp4", "libopus"), "opus"),
        (contained(STEREO, 48_000, "mp4", "libmp3lame"), "mp3"),
        (contained(STEREO, 48_000, "ipod", "alac"), "alac"),
        (contained(STEREO, 48_000, "webm", "libopus"), "opus"),
    ],
)
def test_every_format_is_decoded_behind_the_sandbox(bench: Bench, data: bytes, codec: str) -> None:
    restarts = bench.pool.restarts
    for _ in range(2):
        outcome = bench.decode(data)
        assert isinstance(outcome.end, Decoded)
        assert outcome.end.info.codec == codec
        assert outcome.end.segments == 1
    assert bench.pool.restarts == restarts


def test_the_last_segment_and_the_end_of_its_recording_come_together(bench: Bench) -> None:
    job = bench.busy()
    lease = bench.arena.lease()
    assert lease is not None
    bench.pool.grant(job, lease)
    events: list[DecoderEvent] = []
    bench.take_one(events)
    assert [type(event) for event in events] == [SegmentReady, Decoded]
    bench.arena.release(lease)


def test_split_gives_one_segment_for_each_channel(bench: Bench) -> None:
    outcome = bench.decode(encoded(noise(1, 8_000, 3), 8_000, "WAV"), "split")
    assert [(s.index, s.channel) for s in outcome.segments] == [(0, 0), (1, 1), (2, 2)]


def test_more_segments_than_slots_pass_one_after_the_other(bench: Bench) -> None:
    outcome = bench.decode(encoded(talk([(3, 1)] * 12), 16_000, "FLAC"))
    assert isinstance(outcome.end, Decoded)
    assert outcome.end.segments == len(outcome.segments) == 12 > bench.arena.slots
    assert [s.index for s in outcome.segments] == list(range(12))
    assert outcome.end.speech_ms == sum(s.speech_ms for s in outcome.segments)
    assert [s.samples for s in outcome.segments] == [len(wave) for wave in outcome.waves]


@pytest.mark.parametrize("channels", ["mix", "split"])
def test_a_recording_is_cut_the_same_by_another_child_whatever_that_decoded_before(
    bench: Bench, channels: Channels
) -> None:
    # What a former owner finished is taken up by where its segments lie.
    left, right = talk([(6, 0.7), (17, 1)] * 2), talk([(3, 0.6), (20, 2)] * 2)
    both = np.stack([wave[: min(len(left), len(right))] for wave in (left, right)], axis=1)
    body = encoded(soxr.resample(both, 16_000, 44_100), 44_100, "FLAC")
    bench.decode(encoded(talk([(18, 1)]), 16_000, "FLAC"))
    first = bench.decode(body, channels)
    other = make_bench()
    second = other.decode(body, channels)
    other.pool.close()
    other.arena.close()
    assert len(first.segments) > (2 if channels == "mix" else 4)
    for one, again in zip(first.segments, second.segments, strict=True):
        assert replace(one, job=0, lease=Lease(0, 0)) == replace(again, job=0, lease=Lease(0, 0))
    for wave, same in zip(first.waves, second.waves, strict=True):
        assert np.array_equal(wave, same)


@pytest.mark.parametrize(("frames", "duration_ms"), [(0, 0), (160, 10), (399, 24), (16_000 * 3, 3000)])
def test_too_short_and_silent_end_without_a_segment_and_with_their_length(
    bench: Bench, frames: int, duration_ms: int
) -> None:
    outcome = bench.decode(encoded(np.zeros((frames, 1), np.float32), 16_000, "WAV"))
    assert isinstance(outcome.end, Decoded)
    assert (outcome.end.segments, outcome.end.speech_ms, outcome.end.info.duration_ms) == (0, 0, duration_ms)


def hours_of_silence(hours: float) -> bytes:
    return encoded(np.zeros((int(hours * 3600 * 8_000), 1), np.int8).astype(np.float32), 8_000, "FLAC")


FLAC = encoded(noise(3, 16_000), 16_000, "FLAC")
NAN = noise(1)
NAN[77] = np.nan


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.FORMAT_UNSUPPORTED),
        (np.random.default_rng(0).bytes(50_000), Reason.FORMAT_UNSUPPORTED),
        (b"a text that is named voice.wav " * 100, Reason.FORMAT_UNSUPPORTED),
        (bytes(100_000), Reason.FORMAT_UNSUPPORTED),
        (FLAC[: len(FLAC) // 2], Reason.DECODE_FAILED),
        (encoded(noise(1), 16_000, "WAV")[:9_999], Reason.DECODE_FAILED),
        (encoded(NAN, 16_000, "WAV", "FLOAT"), Reason.DECODE_FAILED),
        (encoded(noise(0.01, 8_000, 1000), 8_000, "WAV"), Reason.AUDIO_LIMITS),
        (encoded(noise(1, 8_000, 9), 8_000, "WAV"), Reason.AUDIO_LIMITS),
        (encoded(noise(1), 16_000, "WAV", "IMA_ADPCM"), Reason.FORMAT_UNSUPPORTED),
    ],
    ids=["empty", "garbage", "text", "nul", "cut flac", "cut wav", "nan", "1000 channels", "9 channels", "adpcm"],
)
def test_a_bad_recording_is_refused_and_the_next_one_works(bench: Bench, data: bytes, reason: Reason) -> None:
    restarts = bench.pool.restarts
    assert failure(bench.decode(data)) == (reason, False)
    assert isinstance(bench.decode(GOOD).end, Decoded)
    assert bench.pool.restarts == restarts


def test_bombs_are_refused_by_their_headers(bench: Bench) -> None:
    five_hours = hours_of_silence(1)
    frames = (5 * 3600 * 8_000).to_bytes(5)
    five_hours = five_hours[:21] + bytes([five_hours[21] & 0xF0 | frames[0]]) + frames[1:] + five_hours[26:]
    assert failure(bench.decode(five_hours)) == (Reason.AUDIO_TOO_LONG, False)
    loud = encoded(np.zeros((192_000, 8), np.float32), 384_000, "FLAC")
    assert failure(bench.decode(loud)) == (Reason.AUDIO_LIMITS, False)


def peak_memory(pid: int) -> int:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def test_memory_does_not_grow_with_the_length_of_a_recording(bench: Bench) -> None:
    bench.decode(encoded(talk([(5, 1), (20, 1)]), 16_000, "FLAC"))
    before = peak_memory(bench.pid())
    minutes = 20
    outcome = bench.decode(hours_of_silence(minutes / 60))
    assert isinstance(outcome.end, Decoded)
    assert (outcome.end.info.duration_ms, outcome.end.speech_ms) == (minutes * 60_000, 0)
    whole = minutes * 60 * 16_000 * 4
    assert peak_memory(bench.pid()) - before < 0.2 * whole


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGKILL, (Reason.KILLED_WORKER, True)),
        (signal.SIGTERM, (Reason.KILLED_WORKER, True)),
        (signal.SIGSEGV, (Reason.KILLED_WORKER, True)),
        (signal.SIGABRT, (Reason.KILLED_WORKER, True)),
        (signal.SIGXCPU, (Reason.DECODE_FAILED, False)),  # our own limit
    ],
)
def test_a_child_that_dies_is_replaced_and_its_job_fails(bench: Bench, number: int, said: tuple[Reason, bool]) -> None:
    restarts, job = bench.pool.restarts, bench.busy()
    os.kill(bench.pid(), number)
    events: list[DecoderEvent] = []
    bench.take_one(events)
    (failed,) = events
    assert isinstance(failed, DecodeFailed)
    assert (failed.job, failed.reason, failed.transient) == (job, *said)
    assert bench.pool.restarts == restarts + 1
    assert bench.pool.idle() == 0
    assert isinstance(bench.decode(GOOD).end, Decoded)


def test_an_idle_child_that_dies_is_replaced_without_an_event(bench: Bench) -> None:
    bench.ready()
    restarts = bench.pool.restarts
    os.kill(bench.pid(), signal.SIGKILL)
    assert bench.take_until(lambda: bench.pool.restarts > restarts) == []
    assert isinstance(bench.decode(GOOD).end, Decoded)


def test_a_child_that_hangs_is_ended_by_the_timer_and_not_a_moment_earlier(bench: Bench) -> None:
    bench.ready()
    restarts, pid, now = bench.pool.restarts, bench.pid(), time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    assert bench.pool.take(now) == []
    job = bench.submit(GOOD)
    assert bench.pool.deadline() == now + 32
    with capture_logs() as lines:
        assert bench.pool.take(now + 31.9) == []
        assert lines == []
        (failed,) = bench.pool.take(now + 32)
    assert isinstance(failed, DecodeFailed)
    (line,) = lines
    assert (line["event"], line["log_level"], line["pid"]) == ("a decoder child was replaced", "warning", pid)
    assert line["detail"] == failed.message
    assert (failed.job, failed.reason, failed.transient) == (job, Reason.DECODE_FAILED, True)
    assert "32 s" in failed.message
    assert bench.pool.restarts == restarts + 1
    assert not Path(f"/proc/{pid}").exists()
    assert isinstance(bench.decode(GOOD).end, Decoded)


def test_no_timer_runs_while_a_child_waits_for_a_slot(bench: Bench) -> None:
    job = bench.busy()
    assert bench.pool.deadline() is None
    later = time.monotonic() + 10_000
    assert bench.pool.take(later) == []
    lease = bench.arena.lease()
    assert lease is not None
    bench.pool.grant(job, lease)
    deadline = bench.pool.deadline()
    assert deadline is not None
    assert later < deadline <= later + 33
    bench.take_until(bench.pool.idle)
    bench.arena.release(lease)


def test_a_cancelled_job_has_no_further_event_and_its_slot_is_free(bench: Bench) -> None:
    job = bench.busy()
    lease = bench.arena.lease()
    assert lease is not None
    pid = bench.pid()
    bench.pool.grant(job, lease)
    bench.pool.cancel(job)
    assert not Path(f"/proc/{pid}").exists()
    bench.arena.release(lease)
    assert bench.take_until(bench.pool.idle) == []
    assert isinstance(bench.decode(GOOD).end, Decoded)


def test_cancelling_or_granting_a_job_that_has_ended_changes_nothing(bench: Bench) -> None:
    outcome = bench.decode(GOOD)
    restarts = bench.pool.restarts
    bench.pool.cancel(outcome.end.job)
    bench.pool.grant(outcome.end.job, Lease(0, 1))
    assert bench.pool.restarts == restarts
    assert isinstance(bench.decode(GOOD).end, Decoded)


def test_submitting_without_an_idle_child_is_an_error(bench: Bench) -> None:
    job = bench.busy()
    with pytest.raises(LookupError):
        bench.pool.submit(DecodeJob(next(jobs), GOOD, "mix"))
    bench.pool.cancel(job)


def test_a_child_inherits_no_settings(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_STORAGE__SECRET_KEY", "planted-canary")
    bench.pool.cancel(bench.busy())
    bench.ready()
    assert b"canary" not in Path(f"/proc/{bench.pid()}/environ").read_bytes()


def test_two_children_work_side_by_side() -> None:
    bench = make_bench(decoders=2)
    try:
        bench.take_until(lambda: bench.pool.idle() == 2)
        assert len(bench.pool.filenos()) == 2
        one, two = bench.busy(), bench.busy()
        bench.pool.cancel(one)
        lease = bench.arena.lease()
        assert lease is not None
        bench.pool.grant(two, lease)
        events: list[DecoderEvent] = []
        while not any(isinstance(event, Decoded) for event in events):
            more: list[DecoderEvent] = []
            bench.take_one(more)
            events += more
        assert {event.job for event in events} == {two}
    finally:
        bench.pool.close()
        bench.arena.close()


def test_children_that_cannot_start_end_the_process_and_not_forever() -> None:
    bench = make_bench(decoder_memory_bytes=100 * 1024**2)
    try:
        with pytest.raises(FatalError, match="decoder_memory_bytes"):
            bench.take_until(lambda: False)
        assert bench.pool.restarts == FALSE_STARTS - 1
    finally:
        bench.pool.close()
        bench.arena.close()


MAGIC = st.sampled_from(
    [
        b"RIFF\0\0\0\0WAVE",
        b"fLaC\0\0\0\x22",
        b"OggS\0\x02",
        b"\0\0\0\x18ftypM4A ",
        b"\x1a\x45\xdf\xa3",
        b"ID3\x04",
        b"\xff\xfb\x90\x64",
        b"",
    ]
)
VALID = [
    encoded(noise(0.2, 16_000, 2), 16_000, "WAV", "FLOAT"),
    encoded(noise(0.2, 16_000, 2), 16_000, "FLAC"),
    encoded(noise(0.2, 16_000, 2), 16_000, "OGG", "VORBIS"),
    encoded(noise(0.2, 48_000, 2), 48_000, "OGG", "OPUS"),
    encoded(noise(0.2, 16_000, 2), 16_000, "MP3"),
    contained(noise(0.2, 16_000, 2), 16_000, "mp4", "aac"),
    contained(noise(0.2, 48_000, 2), 48_000, "webm", "libopus"),
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 6))):
        data[draw(st.integers(0, min(len(data), 600) - 1))] = draw(st.integers(0, 255))
    return bytes(data[: draw(st.integers(len(data) // 2, len(data)))])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.tuples(MAGIC, st.binary(max_size=300)).map(b"".join), damaged()))
def test_whatever_the_bytes_are_the_child_gives_one_answer(bench: Bench, data: bytes) -> None:
    restarts = bench.pool.restarts
    end = bench.decode(data).end
    assert isinstance(end, Decoded) or not end.transient
    assert bench.pool.restarts == restarts
