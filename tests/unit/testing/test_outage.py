"""Ten minutes without a store, under load: nobody's fault, so nobody's attempt."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
import structlog

from streamproc.records.outcome import OutcomeKind
from streamproc.testing.simulation.bounds import check_bounds
from streamproc.testing.simulation.ends import all_ends, check_end, quiet
from streamproc.testing.simulation.inflict import inflict
from streamproc.testing.simulation.observer import Observer
from streamproc.testing.simulation.plan import make_plan
from streamproc.testing.simulation.recordings import Kind, announce
from streamproc.testing.simulation.servers import STORE
from streamproc.testing.simulation.world import World
from streamproc.worker.core import canary
from streamproc.worker.core.canary import Canary

OUTAGE_S = 600.0
BEGINS_S = 3.0
EVERY_S = 2.5
"""Between two records; 240 come while the store is away."""
AFTER_S = 20.0


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    yield
    structlog.configure(**before)


class Load:
    """Two workers, a record every few seconds on each of two partitions, and an outage; nothing else goes wrong."""

    def __init__(self, order: str) -> None:
        count = round((BEGINS_S + OUTAGE_S + AFTER_S) / EVERY_S)
        announced = tuple(
            (EVERY_S * number, announce(number, Kind.PLAIN, number % 2, b"k%d-0" % (number % 2), None))
            for number in range(count)
        )
        # At the moment at which it begins, some are in flight.
        crowd = tuple(
            (BEGINS_S - 0.02, announce(5_000 + n, Kind.PLAIN, n % 2, b"k%d-0" % (n % 2), None)) for n in range(12)
        )
        plan = replace(
            make_plan(0),
            delivery="exactly_once",
            workers=2,
            partitions=2,
            micro_batch_records=3,
            shared_tier=True,
            tight=False,
            announced=(*announced, *crowd),
            gaps=(),
            faults=(),
            alone=False,
            retention_at=None,
            strict=order == "strict",
        )
        self.world = World(plan, inflict)
        self.observer = Observer(self.world)
        self.world.servers.broker.observers.append(self.observer)
        self.world.begin()
        self.world.nature.later(BEGINS_S, lambda: self.world.take_down(STORE, OUTAGE_S, None))

    def go_on(self, until: float) -> None:
        while self.world.fibers.now < until:
            self.world.fibers.run(min(until, self.world.fibers.now + 0.5))
            assert self.observer.violation is None
            check_bounds(self.world)

    def ends(self) -> Counter[tuple[OutcomeKind, int]]:
        return Counter((end.kind, end.attempts) for end in all_ends(self.world))


@pytest.mark.parametrize("order", ["lanes", "strict"])
def test_an_outage_of_ten_minutes_spends_nobodys_attempt(order: str) -> None:
    load = Load(order)
    load.go_on(BEGINS_S + 1)
    before = load.ends()
    load.go_on(BEGINS_S + OUTAGE_S - 1)
    assert load.ends() == before
    assert {process.runtime.state for process in load.world.processes()} == {"waiting for the store"}
    load.go_on(BEGINS_S + OUTAGE_S + canary.LONGEST_WAIT_S + AFTER_S + 10)
    assert quiet(load.world)
    check_end(load.world)
    sent = len(load.world.upstream.sent)
    assert sent > OUTAGE_S / EVERY_S
    assert load.ends() == {(OutcomeKind.RESULT, 1): sent}


def test_a_worker_that_blames_its_records_for_an_outage_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def blames(self: Canary, now: float, *, works: bool) -> bool:
        probed(self, now, works=True)
        return not works

    probed = Canary.probed
    monkeypatch.setattr(Canary, "probed", blames)
    load = Load("lanes")
    load.go_on(BEGINS_S + 60)
    assert sum(count for (kind, _), count in load.ends().items() if kind is OutcomeKind.DEAD_LETTER) > 0
