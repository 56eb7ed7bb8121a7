"""What every pool of decoders does, the one in memory and the one of real children."""

import os
import select
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

import numpy as np
import pytest
from numpy.typing import NDArray

from streamproc.arena import Arena, Lease
from streamproc.audio.pool import DecoderPool
from streamproc.errors import Reason
from streamproc.records.decoding import Decoded, DecodeFailed, DecodeJob, DecoderEvent, SegmentReady, SlotWanted
from streamproc.records.recording import Channels
from streamproc.settings import AudioSettings
from streamproc.testing.decoders import FakeDecoders, recording
from streamproc.testing.simulation.parts import SimulatedDecoders
from streamproc.worker.ports import Decoders
from tests.contract.simulated import SimulatedPlace
from tests.unit.audio.sounds import encoded, noise, talk

PATIENCE_S = 60.0
CHILDREN = 2
SLOTS = 3
MARK = np.full(1000, 0.25, np.float32)
"""What is in a slot that no decoder wrote to."""
jobs = count(1)


@dataclass(frozen=True)
class Recordings:
    short: bytes
    """A second of sound."""
    other: bytes
    """Another second."""
    long: bytes
    """Sound of several segments."""
    cut: bytes
    """As long, but its end is missing."""
    silent: bytes
    """Three seconds."""
    blip: bytes
    """Ten milliseconds of sound, which are under a frame."""


def written() -> Recordings:
    """What the fake ones read."""
    return Recordings(
        short=recording(1000, name="a"),
        other=recording(1000, name="b"),
        long=recording(40_000),
        cut=recording(40_000, fail="decode_failed"),
        silent=recording(3000, silent=True),
        blip=recording(10),
    )


def sounding() -> Recordings:
    """What the real ones read."""
    long = encoded(talk([(3, 1)] * 6), 16_000, "FLAC")
    return Recordings(
        short=encoded(noise(1, seed=1), 16_000, "FLAC"),
        other=encoded(noise(1, seed=2), 16_000, "FLAC"),
        long=long,
        cut=long[: len(long) * 9 // 10],
        silent=encoded(np.zeros((48_000, 1), np.float32), 16_000, "WAV"),
        blip=encoded(noise(0.01), 16_000, "WAV"),
    )


@dataclass
class Story:
    """What was said of one job so far."""

    wanting: bool = False
    lease: Lease | None = None
    """Granted, and not named yet."""
    segments: list[SegmentReady] = field(default_factory=list)
    waves: list[NDArray[np.float32]] = field(default_factory=list)
    end: Decoded | DecodeFailed | None = None
    cancelled: bool = False


@dataclass
class Bench:
    """The worker's side. Whatever is taken is held against the protocol, so that each test checks all of it."""

    arena: Arena
    decoders: Decoders
    recordings: Recordings
    wait: Callable[[], object]
    """Return when there may be something to take."""
    kill: Callable[[int], object]
    """Kill the child that has a job."""
    stories: dict[int, Story] = field(default_factory=dict)

    def submit(self, body: bytes, channels: Channels = "mix") -> int:
        job = next(jobs)
        self.stories[job] = Story()
        self.decoders.submit(DecodeJob(job, body, channels))
        return job

    def take(self) -> None:
        for event in self.decoders.take(time.monotonic()):
            story = self.stories[event.job]
            assert story.end is None, f"{event} after the end"
            assert not story.cancelled, f"{event} after the cancel"
            self._note(event, story)

    def _note(self, event: DecoderEvent, story: Story) -> None:
        match event:
            case SlotWanted():
                assert not story.wanting
                assert story.lease is None, "the slot before has its segment"
                story.wanting = True
            case SegmentReady():
                assert event.lease == story.lease, "it is in the slot that was granted"
                self._keep(event, story)
            case Decoded():
                assert not story.wanting
                assert story.lease is None, "no slot was asked for in vain"
                assert event.segments == len(story.segments)
                assert event.speech_ms == sum(segment.speech_ms for segment in story.segments)
                story.end = event
            case DecodeFailed():
                story.end, story.wanting = event, False
                self.give_back(story)

    def _keep(self, event: SegmentReady, story: Story) -> None:
        assert event.index == len(story.segments)
        assert 0 <= event.start_ms < event.end_ms
        assert event.speech_ms > 0
        assert event.level_dbfs < 0
        wave = self.arena.read(event.lease)
        assert len(wave) == event.samples
        story.segments.append(event)
        story.waves.append(wave)
        self.give_back(story)

    def give_back(self, story: Story) -> None:
        if story.lease is not None:
            self.arena.release(story.lease)
            story.lease = None

    def until(self, wanted: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not wanted():
            assert time.monotonic() < deadline, f"waited in vain, heard {self.stories}"
            self.wait()
            self.take()

    def started(self, body: bytes) -> int:
        """A job that waits for its first slot."""
        job = self.submit(body)
        self.until(lambda: self.stories[job].wanting)
        return job

    def grant(self, job: int) -> Lease:
        lease = self.arena.lease()
        assert lease is not None
        self.arena.write(lease, MARK)
        self.stories[job].wanting, self.stories[job].lease = False, lease
        self.decoders.grant(job, lease)
        return lease

    def cancel(self, job: int) -> None:
        self.stories[job].cancelled = True
        self.decoders.cancel(job)

    def finish(self, *unfinished: int) -> list[Story]:
        """Grant these jobs whatever they want, up to their ends."""
        stories = [self.stories[job] for job in unfinished]

        def ended() -> bool:
            for job in unfinished:
                if self.stories[job].wanting:
                    self.grant(job)
            return all(story.end for story in stories)

        self.until(ended)
        return stories

    def decode(self, body: bytes, channels: Channels = "mix") -> Story:
        (story,) = self.finish(self.submit(body, channels))
        return story


@pytest.fixture(scope="module", params=["memory", "simulated", "children"])
def whole(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """One pool for all tests: children take a while to start."""
    arena = Arena(SLOTS)
    if request.param == "memory":
        fake = FakeDecoders(arena, CHILDREN)
        yield Bench(arena, fake, written(), lambda: None, fake.die)
    elif request.param == "simulated":
        place = SimulatedPlace()
        simulated = SimulatedDecoders(arena, Counter(), place)
        yield Bench(arena, simulated, written(), place.go_on, simulated.die)
    else:
        pool = DecoderPool(arena, AudioSettings(decoders=CHILDREN))
        pool.start(time.monotonic())

        def kill(job: int) -> None:
            (child,) = (child for child in pool._decoders if child.job == job)
            os.kill(child._process.pid, signal.SIGKILL)

        yield Bench(arena, pool, sounding(), lambda: select.select(pool.filenos(), [], [], 0.2), kill)
        pool.close()
    arena.close()


@pytest.fixture
def bench(whole: Bench) -> Iterator[Bench]:
    """Nobody has a job before and after each test, and no slot is out."""
    whole.until(lambda: whole.decoders.idle() == CHILDREN)
    whole.stories.clear()
    yield whole
    whole.until(lambda: whole.decoders.idle() == CHILDREN)
    assert whole.arena.free == SLOTS


def failure(story: Story) -> tuple[Reason, bool]:
    assert isinstance(story.end, DecodeFailed)
    return story.end.reason, story.end.transient


def decoded(story: Story) -> Decoded:
    assert isinstance(story.end, Decoded)
    return story.end


def test_a_job_has_its_child_until_its_end_is_taken(bench: Bench) -> None:
    bodies = (bench.recordings.short, b"no sound at all")
    ids = [bench.submit(body) for body in bodies]
    assert bench.decoders.idle() == 0
    with pytest.raises(LookupError):
        bench.submit(bench.recordings.other)
    bench.finish(ids[1])
    assert bench.decoders.idle() == 1
    bench.finish(ids[0])
    assert bench.decoders.idle() == 2


def test_a_second_of_sound_is_one_segment(bench: Bench) -> None:
    story = bench.decode(bench.recordings.short)
    end = decoded(story)
    assert (end.segments, end.speech_ms, end.info.duration_ms) == (1, 1000, 1000)
    (segment,) = story.segments
    assert (segment.channel, segment.start_ms, segment.end_ms, segment.samples) == (-1, 0, 1000, 16_000)


def test_a_channel_of_its_own_is_named(bench: Bench) -> None:
    story = bench.decode(bench.recordings.short, "split")
    assert [segment.channel for segment in story.segments] == [0]


def test_segments_come_in_the_order_of_the_recording(bench: Bench) -> None:
    story = bench.decode(bench.recordings.long)
    assert decoded(story).segments >= 3
    starts = [segment.start_ms for segment in story.segments]
    ends = [segment.end_ms for segment in story.segments]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    assert ends[-1] <= decoded(story).info.duration_ms


def test_equal_bytes_give_equal_waveforms_and_others_others(bench: Bench) -> None:
    one, same = bench.decode(bench.recordings.long), bench.decode(bench.recordings.long)
    assert [wave.tobytes() for wave in one.waves] == [wave.tobytes() for wave in same.waves]
    assert len({wave.tobytes() for wave in one.waves}) == len(one.waves)
    short, other = bench.decode(bench.recordings.short), bench.decode(bench.recordings.other)
    assert short.waves[0].tobytes() != other.waves[0].tobytes()


@pytest.mark.parametrize(("name", "duration_ms"), [("silent", 3000), ("blip", 10)])
def test_what_holds_no_speech_ends_without_a_segment(bench: Bench, name: str, duration_ms: int) -> None:
    end = decoded(bench.decode(getattr(bench.recordings, name)))
    assert (end.segments, end.speech_ms, end.info.duration_ms) == (0, 0, duration_ms)


@pytest.mark.parametrize("body", [b"", b"a text that is named voice.wav"])
def test_what_is_no_recording_is_refused_for_good(bench: Bench, body: bytes) -> None:
    story = bench.decode(body)
    assert failure(story) == (Reason.FORMAT_UNSUPPORTED, False)
    assert not story.segments
    assert bench.decoders.idle() == CHILDREN, "nobody died of it"


def test_a_recording_that_breaks_off_fails_for_good_after_the_segments_before(bench: Bench) -> None:
    story = bench.decode(bench.recordings.cut)
    assert failure(story) == (Reason.DECODE_FAILED, False)
    assert story.segments


def test_a_job_that_waits_for_a_slot_holds_nobody_up(bench: Bench) -> None:
    waiting = bench.started(bench.recordings.long)
    story = bench.decode(bench.recordings.long)
    assert decoded(story).segments == len(story.segments)
    assert bench.stories[waiting].wanting
    assert not bench.stories[waiting].segments
    (held_up,) = bench.finish(waiting)
    assert [wave.tobytes() for wave in held_up.waves] == [wave.tobytes() for wave in story.waves]


def test_two_jobs_run_side_by_side(bench: Bench) -> None:
    one, two = bench.finish(bench.submit(bench.recordings.short), bench.submit(bench.recordings.long))
    assert decoded(one).segments == 1
    assert decoded(two).segments == len(two.segments)


def begun(bench: Bench, how: str) -> int:
    """A long job that is decoding, or waits for a slot, or was just granted one, or gave its first segment."""
    job = bench.submit(bench.recordings.long)
    if how == "decoding":
        return job
    bench.until(lambda: bench.stories[job].wanting)
    if how == "waiting":
        return job
    bench.grant(job)
    if how == "delivered":
        bench.until(lambda: bench.stories[job].segments)
    return job


MOMENTS = ("decoding", "waiting", "granted", "delivered")


def mark_slots(bench: Bench) -> list[Lease]:
    """Lease every free slot and write to it."""
    leases = [lease for _ in range(SLOTS) if (lease := bench.arena.lease()) is not None]
    for lease in leases:
        bench.arena.write(lease, MARK)
    return leases


def check_marks(bench: Bench, leases: list[Lease]) -> None:
    """Nobody wrote over what is marked."""
    for lease in leases:
        np.testing.assert_array_equal(bench.arena.read(lease), MARK)
        bench.arena.release(lease)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_cancelled_job_says_no_more_and_its_slot_is_free_at_once(bench: Bench, moment: str) -> None:
    neighbour = bench.started(bench.recordings.short)
    job = begun(bench, moment)
    bench.cancel(job)
    assert bench.decoders.idle() == 0, "the child that takes its place has not started"
    bench.give_back(bench.stories[job])
    marked = mark_slots(bench)
    bench.until(lambda: bench.decoders.idle() == 1)
    check_marks(bench, marked)
    assert decoded(*bench.finish(neighbour)).segments == 1
    assert decoded(bench.decode(bench.recordings.short)).segments == 1


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_child_fails_its_job_for_now_and_another_takes_its_place(bench: Bench, moment: str) -> None:
    neighbour = bench.started(bench.recordings.short)
    job = begun(bench, moment)
    bench.kill(job)
    story = bench.stories[job]
    bench.until(lambda: story.end)
    assert failure(story) == (Reason.KILLED_WORKER, True)
    assert story.lease is None
    assert bench.decoders.idle() == 0, "the child that takes its place has not started"
    marked = mark_slots(bench)
    bench.until(lambda: bench.decoders.idle() == 1)
    check_marks(bench, marked)
    assert decoded(*bench.finish(neighbour)).segments == 1
    assert decoded(bench.decode(bench.recordings.short)).segments == 1


def test_a_slot_that_comes_after_the_kill_is_free_again_with_the_failure(bench: Bench) -> None:
    job = bench.started(bench.recordings.long)
    bench.kill(job)
    lease = bench.grant(job)
    bench.until(lambda: bench.stories[job].end)
    assert failure(bench.stories[job]) == (Reason.KILLED_WORKER, True)
    assert not bench.stories[job].segments
    np.testing.assert_array_equal(bench.arena.read(lease), MARK)


def test_cancelling_or_granting_a_job_that_has_ended_changes_nothing(bench: Bench) -> None:
    bench.decode(bench.recordings.short)
    (job,) = bench.stories
    running = bench.started(bench.recordings.other)
    bench.decoders.cancel(job)
    bench.decoders.grant(job, Lease(0, 1))
    assert bench.decoders.idle() == 1
    assert decoded(*bench.finish(running)).segments == 1
