from collections.abc import Callable, Mapping
from typing import Any

from streamproc.telemetry.metrics import Dependency, Metrics
from streamproc.testing.clock import ManualClock
from streamproc.worker.front import Front
from streamproc.worker.step import Step


class Fake:
    """A runtime and a watchdog, as far as they are asked."""

    state = "loading"
    brake: Mapping[str, object] = {}  # never changed
    warm = started = holds = ready = False
    awake = True
    uptime_s = 0.0

    def status(self) -> dict[str, object]:
        return {"state": self.state, "uptime_s": self.uptime_s}

    def release_brake(self) -> bool:
        return True


def front(clock: ManualClock) -> tuple[Front, Fake, Callable[[], None]]:
    one, fake = Front(clock, Metrics()), Fake()
    return one, fake, lambda: one.take(fake, fake)


def test_it_says_what_it_waits_for_before_there_is_a_worker() -> None:
    clock = ManualClock()
    one, _, _ = front(clock)
    clock.advance(3)
    assert (
        one.status().items()
        >= {
            "state": "starting",
            "uptime_s": 3,
            "waits_for": "its own code to be read",
            "percent": 0,
            "seconds": 3,
        }.items()
    )
    one.begin(Step.REGISTRY)
    clock.advance(1)
    assert (one.status()["waits_for"], one.status()["percent"], one.status()["seconds"]) == ("the registry", 33, 1)
    assert (one.health().ok, one.ready().ok, one.started().ok) == (True, False, False)
    assert not one.release()


def test_it_follows_the_worker_through_its_start() -> None:
    clock = ManualClock()
    one, fake, take = front(clock)
    take()

    def waits() -> Any:
        status = one.status()
        return status["waits_for"], status["percent"]

    clock.advance(2)
    assert waits() == ("the network to load", 50)
    fake.warm = True
    assert waits() == ("the broker to give it its slot", 66)
    assert one.status()["seconds"] == 0
    fake.started = True
    assert waits() == ("partitions of the group", 83)
    assert (one.started().ok, one.ready().ok) == (True, False)
    fake.holds = fake.ready = True
    assert waits() == (None, 100)
    assert one.ready().ok
    assert one.release()


def test_a_later_wait_begins_anew() -> None:
    clock = ManualClock()
    one, fake, take = front(clock)
    take()
    fake.warm = fake.started = True
    assert one.status()["seconds"] == 0
    fake.holds = True
    clock.advance(3600)
    assert one.ready().detail["state"] == fake.state  # whoever asks anything lets it see that the wait is over
    fake.holds = False
    assert (one.status()["waits_for"], one.status()["seconds"]) == ("partitions of the group", 0)
    clock.advance(2)
    assert one.status()["seconds"] == 2


def test_a_watchdog_that_sleeps_is_no_health() -> None:
    one, fake, take = front(ManualClock())
    take()
    assert one.health().ok
    fake.awake = False
    assert not one.health().ok


def test_its_uptime_is_the_process_and_never_goes_back() -> None:
    clock = ManualClock()
    one, fake, take = front(clock)
    clock.advance(3)
    take()
    clock.advance(1)
    fake.uptime_s = 1.0
    assert one.status()["uptime_s"] == 4


def test_it_shows_which_server_a_start_waits_for() -> None:
    one, _, _ = front(ManualClock())

    def down() -> dict[str, float]:
        asked = {str(name): {"dependency": str(name)} for name in Dependency}
        values = {
            name: one.metrics.registry.get_sample_value("streamproc_dependency_down", labels)
            for name, labels in asked.items()
        }
        return {name: value for name, value in values.items() if value}

    one.begin(Step.BROKER)
    one.miss(away=True)
    assert down() == {"kafka": 1}
    one.miss(away=False)
    one.begin(Step.REGISTRY)
    one.miss(away=True)
    assert down() == {"registry": 1}
