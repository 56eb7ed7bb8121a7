import math
import weakref
from collections.abc import Callable
from random import Random

import pytest
from greenlet import GreenletExit

from streamproc.telemetry.timesheet import Activity
from streamproc.testing.fibers import FiberExecutor, FiberFlag, FiberHost, Fibers, Process


@pytest.fixture
def fibers() -> Fibers:
    return Fibers(Random(1))


@pytest.fixture
def process() -> Process:
    return Process("p")


def order(seed: int) -> list[str]:
    fibers, process, seen = Fibers(Random(seed)), Process("p"), list[str]()

    def run(name: str) -> Callable[[], None]:
        def steps() -> None:
            for step in range(3):
                seen.append(f"{name}{step}")
                fibers.switch()

        return steps

    for name in "abc":
        fibers.start(process, name, run(name))
    fibers.run(math.inf)
    return seen


def test_a_seed_decides_the_order_and_seeds_differ() -> None:
    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(20)}) > 10


def test_time_moves_only_when_nobody_can_run(fibers: Fibers, process: Process) -> None:
    seen = []

    def sleeps(seconds: float) -> Callable[[], None]:
        def run() -> None:
            fibers.sleep(seconds)
            seen.append((seconds, fibers.now))

        return run

    for seconds in (3.0, 1.0, 2.0):
        fibers.start(process, "s", sleeps(seconds))
    fibers.run(2.5)
    assert seen == [(1.0, 1.0), (2.0, 2.0)]
    assert fibers.now == 2.5
    fibers.run(math.inf)
    assert seen[-1] == (3.0, 3.0)


def test_time_passes_where_nobody_can_ever_go_on(fibers: Fibers) -> None:
    fibers.run(2.5)
    assert fibers.now == 2.5
    fibers.run(math.inf)
    assert fibers.now == 2.5


def test_a_wait_ends_with_the_flag_or_with_its_time_and_never_twice(fibers: Fibers, process: Process) -> None:
    flag, seen = FiberFlag(fibers), []

    def waits() -> None:
        seen.append((flag.wait(1.0), fibers.now))
        seen.append((flag.wait(5.0), fibers.now))
        fibers.sleep(10)  # the timer of the wait before is stale now
        seen.append((True, fibers.now))

    def sets() -> None:
        fibers.sleep(2)
        flag.set()

    fibers.start(process, "w", waits)
    fibers.start(process, "s", sets)
    fibers.run(math.inf)
    assert seen == [(False, 1.0), (True, 2.0), (True, 12.0)]


def test_a_killed_process_unwinds_and_none_of_its_fibers_goes_on(fibers: Fibers, process: Process) -> None:
    seen = []

    def run() -> None:
        try:
            fibers.sleep(1)
            seen.append("on")
        finally:
            seen.append("unwound")

    def late() -> None:
        seen.append("begun")

    fibers.start(process, "a", run)
    fibers.run(0.5)
    fibers.start(process, "b", late)
    process.kill()
    fibers.run(math.inf)
    assert seen == ["unwound"]


def test_a_process_can_be_killed_by_one_of_its_own(fibers: Fibers, process: Process) -> None:
    seen = []

    def dies() -> None:
        process.kill()
        raise GreenletExit

    def waits() -> None:
        try:
            fibers.sleep(9)
        except GreenletExit:
            seen.append("thrown")
            with pytest.raises(GreenletExit):
                fibers.sleep(1)
            raise

    fibers.start(process, "w", waits)
    fibers.run(1)
    fibers.start(process, "d", dies)
    fibers.run(math.inf)
    assert seen == ["thrown"]
    assert process.failure is None


def test_what_a_fiber_raises_is_kept(fibers: Fibers, process: Process) -> None:
    def fails() -> None:
        raise ValueError("x")

    fibers.start(process, "f", fails)
    fibers.run(math.inf)
    assert isinstance(process.failure, ValueError)


def test_a_frozen_process_stands_still_while_time_passes(fibers: Fibers, process: Process) -> None:
    other, seen = Process("other"), []

    def sleeps() -> None:
        fibers.sleep(1)
        seen.append(fibers.now)

    def steers() -> None:
        process.freeze()
        fibers.sleep(5)
        process.thaw(fibers)

    fibers.start(process, "s", sleeps)
    fibers.start(other, "o", steers)
    fibers.run(math.inf)
    assert seen == [5.0]


def test_an_executor_runs_so_many_calls_at_a_time_and_begins_them_in_order(fibers: Fibers, process: Process) -> None:
    executor, begun, running, most = FiberExecutor(fibers, process, "io", 2), list[int](), 0, 0

    def call(number: int) -> None:
        nonlocal running, most
        begun.append(number)
        running += 1
        most = max(most, running)
        fibers.sleep(1 / (number + 1))
        running -= 1

    for number in range(5):
        executor.submit(Activity.FETCH, call, number)
    fibers.run(math.inf)
    assert begun == [0, 1, 2, 3, 4]
    assert most == 2


def test_an_executor_that_has_nothing_to_do_takes_later_calls_until_its_process_is_killed(
    fibers: Fibers, process: Process
) -> None:
    executor, seen = FiberExecutor(fibers, process, "io", 1), list[int]()
    for number in range(3):
        executor.submit(Activity.FETCH, seen.append, number)
        fibers.run(fibers.now + 1)
        assert seen == [*range(number + 1)]
    process.kill()
    executor.submit(Activity.FETCH, seen.append, 3)
    fibers.run(math.inf)
    assert seen == [0, 1, 2]


def test_an_executor_that_waits_holds_nothing_of_its_last_call(fibers: Fibers, process: Process) -> None:
    class Held:
        pass

    held = Held()
    executor, kept = FiberExecutor(fibers, process, "io", 1), weakref.ref(held)
    executor.submit(Activity.FETCH, lambda _: None, held)
    del held
    fibers.run(math.inf)
    assert kept() is None


def test_a_wake_set_while_awake_ends_the_next_sleep(fibers: Fibers, process: Process) -> None:
    host, seen = FiberHost(fibers, process), []

    def loop() -> None:
        host.wake().sleep(10, ())
        seen.append(fibers.now)
        host.wake().sleep(10, ())
        seen.append(fibers.now)

    host.wake().set()
    host.start("loop", loop)
    fibers.run(math.inf)
    assert seen == [0.0, 10.0]
