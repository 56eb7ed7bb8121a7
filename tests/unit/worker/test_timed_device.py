from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from streamproc.arena import Arena
from streamproc.records.compute import BatchDone, DeviceEvent, SegmentHandle
from streamproc.telemetry.metrics import Metrics
from streamproc.telemetry.timesheet import Activity, Hand
from streamproc.testing.clock import ManualClock
from streamproc.worker.timed_device import TimedDevice
from tests.unit.worker.test_runtime import Device


class World:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.metrics = Metrics(clock=self.clock.monotonic)
        self.arena = Arena(4)
        self.device = Device(self.arena)
        sheet = self.metrics.sheets.open(Hand.DEVICE, "device", Activity.START)
        self.timed = TimedDevice(self.device, sheet, self.metrics)

    def spent(self) -> dict[Activity, float]:
        spent = self.metrics.sheets.spent()
        return {activity: seconds for (_, activity), seconds in spent.items() if seconds}

    def shown(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"streamproc_{name}", labels)

    def items(self, samples: int) -> list[SegmentHandle]:
        lease = self.arena.lease()
        assert lease is not None
        self.arena.write(lease, np.zeros(samples, np.float32))
        return [SegmentHandle(lease, samples)]


@pytest.fixture
def world() -> World:
    return World()


def test_a_device_loads_then_waits_then_computes(world: World) -> None:
    world.clock.advance(3)
    world.timed.take(0)
    world.clock.advance(4)
    world.device.held = True
    world.timed.submit(1, world.items(16_000))
    world.timed.submit(2, world.items(8_000))
    world.clock.advance(5)
    assert world.spent() == {Activity.START: 3, Activity.IDLE: 4, Activity.COMPUTE: 5}
    world.device.held = False
    assert len(world.timed.take(0)) == 2
    world.clock.advance(6)
    assert world.spent() == {Activity.START: 3, Activity.IDLE: 10, Activity.COMPUTE: 5}
    assert world.shown("pass_audio_seconds_total", content="audio") == 1.5


def test_fill_is_measured_by_what_the_device_likes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    most: Callable[[int], int] = lambda longest: 4 if longest == 16_000 else 1  # noqa: E731  # a table of two
    world.timed.take(0)
    monkeypatch.setattr(world.device, "most_items", most)
    world.timed.submit(1, world.items(16_000))
    assert world.shown("batch_fill_ratio_sum") == 0.25


def test_padding_is_what_the_child_says(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.timed.take(0)
    world.timed.submit(1, world.items(16_000))
    take = world.device.take

    def padded(now: float) -> list[DeviceEvent]:
        return [replace(event, padding=4_000) if isinstance(event, BatchDone) else event for event in take(now)]

    monkeypatch.setattr(world.device, "take", padded)
    world.timed.take(0)
    assert world.shown("pass_audio_seconds_total", content="padding") == 0.25
