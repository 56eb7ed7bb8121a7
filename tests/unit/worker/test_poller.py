"""What the polling thread does for others while it has no room, in virtual time."""

from collections.abc import Iterator, Mapping
from random import Random

import pytest

from streamproc.records.record import CommitOffset, TopicPartition
from streamproc.settings import FlowSettings
from streamproc.telemetry.metrics import Metrics
from streamproc.testing.broker.broker import MemoryBroker
from streamproc.testing.broker.source import BrokerSource
from streamproc.testing.fibers import FiberClock, FiberHost, Fibers, Process
from streamproc.worker.core.ownership import Ownership
from streamproc.worker.poller import IDLE_POLL_S, Poller
from streamproc.worker.ports import Assignments, Source

FIRST = TopicPartition("in", 0)
LATENESS_S = 0.01
"""How long whoever asked takes to see that it was served."""


class World:
    """A polling thread on one fiber, and a test on another."""

    def __init__(self, seed: int) -> None:
        self.fibers, self.process = Fibers(Random(seed)), Process("worker")
        clock = FiberClock(self.fibers, 0)
        self.broker = MemoryBroker(clock, session_timeout_s=45)
        self.broker.create_topic("in", 1)
        host, self.flow = FiberHost(self.fibers, self.process), FlowSettings(pause_after_s=60)
        self.poller = Poller(self.flow, self._open, Ownership(), host, host.wake(), clock, Metrics())
        self.source: BrokerSource

    def _open(self, assignments: Assignments) -> Source:
        self.source = BrokerSource(
            self.broker,
            ["in"],
            "group",
            assignments,
            max_poll_interval_s=300,
            sleep=self.fibers.sleep,
            point=lambda _name: self.fibers.switch(),
            here=self.fibers.here,
        )
        return self.source

    def commit(self, offset: int) -> float:
        """Commit as the commit thread does; how long that took (virtual s)."""
        began = self.fibers.now
        self.source.commit([CommitOffset(*FIRST, offset)], self.source.group_metadata())
        return self.fibers.now - began

    def committed(self) -> Mapping[int, int]:
        found = self.broker.committed("group", FIRST)
        return {} if found is None else {FIRST.partition: found.offset}


@pytest.fixture(params=range(20))
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(request.param)
    yield world
    world.process.kill()


def test_a_commit_that_waits_for_the_polling_thread_is_served_at_once_without_room(world: World) -> None:
    took: list[float] = []

    def work() -> None:
        world.poller.start()
        world.poller.room.set()
        while not world.poller.news:
            world.fibers.sleep(IDLE_POLL_S)
        world.poller.room.clear()
        for offset in range(1, 11):
            world.fibers.sleep(0.37 * IDLE_POLL_S)  # at another moment of its wait each time
            took.append(world.commit(offset))

    world.fibers.start(world.process, "work", work)
    world.fibers.run(60)
    assert world.process.failure is None
    assert len(took) == 10
    assert max(took[1:]) <= LATENESS_S + 1e-9  # the first one may come in the last poll
    assert world.committed() == {FIRST.partition: 10}


def test_room_is_seen_at_once_by_who_waits_for_it(world: World) -> None:
    polled: list[float] = []

    def work() -> None:
        world.poller.start()
        world.poller.room.set()
        while not world.poller.news:
            world.fibers.sleep(IDLE_POLL_S)
        world.poller.room.clear()
        world.fibers.sleep(10.3 * IDLE_POLL_S)
        poll = world.source.poll

        def note(most: int, timeout_s: float) -> object:
            polled.append(world.fibers.now)
            return poll(most, timeout_s)

        world.source.poll = note  # type: ignore[assignment,method-assign]  # the same, noted
        world.poller.room.set()
        polled.append(world.fibers.now)

    world.fibers.start(world.process, "work", work)
    world.fibers.run(60)
    assert world.process.failure is None
    assert polled[0] == polled[1]
