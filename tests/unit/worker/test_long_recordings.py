"""Long recordings through the stages and real decoder children: what is in memory does not grow with their length."""

import os
import select
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from streamproc.arena import _SLOT_BYTES, SAMPLE_RATE
from streamproc.audio.pool import DecoderPool
from streamproc.records.compute import DeviceEvent
from streamproc.settings import AudioSettings
from streamproc.testing.codec import encode_event
from streamproc.testing.device import IDENTITY, FakeDevice
from streamproc.testing.harness import WorkerHarness
from streamproc.worker.pipeline import Pipeline
from tests.unit.audio.sounds import Wave, contained, encoded, talk

SLOTS = 242
"""As many as the default settings make."""
BATCH = 4
MB = 1_000_000


class SlowDevice(FakeDevice):
    """Slower than any decoder: it computes one batch when it is asked for the five hundredth time."""

    asked = 0

    def take(self, now: float) -> Sequence[DeviceEvent]:
        self.asked += 1
        self.held = self.asked % 500 != 0
        return super().take(now)

    def _run(self, count: int) -> list[DeviceEvent]:  # type: ignore[override]  # a list of one kind of them
        return [*super()._run(min(1, count))]


@dataclass(frozen=True)
class Peak:
    """The most that was in memory (bytes), and what came of it."""

    arena: int
    child: int
    """Of its own: what it maps of the recording and of the arena is counted elsewhere."""
    main: int
    """Beyond what was there before, the recording's bytes included until the decoder has them."""
    segments: int
    duration_ms: int


def anonymous(pid: int) -> int:
    """What a process has for itself."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


def recorded(worker: WorkerHarness, body: bytes, device: FakeDevice) -> Peak:
    device.take(0)  # it is warm
    with closing(DecoderPool(worker.arena, AudioSettings(decoders=1))) as pool:
        world = replace(worker.world, decoders=pool, device=device)
        worker.pipeline = Pipeline(worker.settings, world, IDENTITY, "0", worker.ownership, worker.metrics)
        pool.start(0.0)
        child = pool._decoders[0]._process.pid
        worker.assign(0)
        worker.store.put("recordings", "long", body, "audio/flac")
        before = anonymous(os.getpid())
        worker.poll(worker.record(encode_event(event_id="long", object_key="long")))
        most_child = most_main = 0
        while not worker.pipeline.idle:
            ready = select.poll()  # a whole run of tests has more descriptors open than `select` can count
            for descriptor in pool.filenos():
                ready.register(descriptor, select.POLLIN)
            ready.poll(0.5)  # ms
            worker.pipeline.step()
            most_child = max(most_child, anonymous(child))
            most_main = max(most_main, anonymous(os.getpid()))
        (row,) = worker.results()
    arena = 512 * os.fstat(worker.arena.descriptor).st_blocks
    return Peak(arena, most_child, most_main - before, int(str(row["segment_count"])), int(str(row["duration_ms"])))


@lru_cache
def minute() -> Wave:
    """Of speech and pauses."""
    return talk([(11, 1)] * 5)


def spoken(form: str, seconds: int) -> bytes:
    """A recording of so many seconds."""
    wave = minute()[: seconds * SAMPLE_RATE]
    times = -(-seconds // 60)
    if form == "MP3":
        return contained(wave[:, None], SAMPLE_RATE, "mp3", "libmp3lame") * times  # MP3s can be joined
    return encoded(np.tile(wave, times), SAMPLE_RATE, form)


@pytest.fixture
def workers() -> Iterator[list[WorkerHarness]]:
    made: list[WorkerHarness] = [WorkerHarness(arena_slots=SLOTS) for _ in range(2)]
    yield made
    for worker in made:
        worker.arena.close()


@pytest.mark.parametrize(
    ("form", "seconds"),
    [
        ("FLAC", 300),
        pytest.param("FLAC", 7200, marks=pytest.mark.slow),
        pytest.param("WAV", 600, marks=pytest.mark.slow),
        pytest.param("MP3", 600, marks=pytest.mark.slow),
    ],
)
def test_memory_does_not_grow_with_the_recording(form: str, seconds: int, workers: list[WorkerHarness]) -> None:
    body = spoken(form, seconds)
    short = recorded(workers[0], spoken(form, 10), SlowDevice(workers[0].arena, BATCH))
    long = recorded(workers[1], body, SlowDevice(workers[1].arena, BATCH))
    print(f"\n{form}: {len(body):,} bytes; 10 s: {short}; {seconds} s: {long}")  # noqa: T201  # read with -rP
    assert short.segments == 1
    assert long.segments > seconds / 15
    assert abs(long.duration_ms - 1000 * seconds) < 200 * seconds / 60
    # Two batches on the device, one that waits, the segment that is over that, and the one that a decoder has ready.
    assert long.arena <= (3 * BATCH + 2) * _SLOT_BYTES
    assert long.child < short.child + 16 * MB
    assert long.main < 2 * len(body) + 16 * MB


def test_a_slot_that_was_used_is_used_again_before_memory_is_touched_anew() -> None:
    worker = WorkerHarness(arena_slots=SLOTS)
    for _ in range(10):
        lease = worker.arena.lease()
        assert lease is not None
        worker.arena.write(lease, np.ones(15 * SAMPLE_RATE, np.float32))
        worker.arena.release(lease)
    assert 512 * os.fstat(worker.arena.descriptor).st_blocks <= _SLOT_BYTES + 4096
    worker.arena.close()
