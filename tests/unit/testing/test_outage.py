"""Ten minutes without a store, under load: nobody's fault, so nobody's attempt."""

from collections import Counter
from collections.abc import Iterator
from contextlib import closing

import pytest

from streamproc.records.outcome import OutcomeKind
from streamproc.testing.simulation.ends import all_ends, check_end, quiet
from streamproc.testing.simulation.recordings import Kind, announce
from streamproc.testing.simulation.servers import STORE
from streamproc.worker.core import canary
from streamproc.worker.core.canary import Canary
from tests.unit.testing.steady import Steady

OUTAGE_S = 600.0
BEGINS_S = 3.0
EVERY_S = 2.5
"""Between two records; 240 come while the store is away."""
AFTER_S = 20.0


pytestmark = pytest.mark.usefixtures("_silent")


def loaded(order: str) -> Steady:
    """A record every few seconds on each of both partitions, and an outage."""
    count = round((BEGINS_S + OUTAGE_S + AFTER_S) / EVERY_S)
    announced = tuple(
        (EVERY_S * number, announce(number, Kind.PLAIN, number % 2, b"k%d-0" % (number % 2), None))
        for number in range(count)
    )
    # At the moment at which it begins, some are in flight.
    crowd = tuple(
        (BEGINS_S - 0.02, announce(5_000 + n, Kind.PLAIN, n % 2, b"k%d-0" % (n % 2), None)) for n in range(12)
    )
    load = Steady(
        0,
        delivery="exactly_once",
        micro_batch_records=3,
        announced=(*announced, *crowd),
        strict=order == "strict",
    )
    load.world.nature.later(BEGINS_S, lambda: load.world.take_down(STORE, OUTAGE_S, None))
    return load


def ends(load: Steady) -> Counter[tuple[OutcomeKind, int]]:
    return Counter((end.kind, end.attempts) for end in all_ends(load.world))


@pytest.fixture
def load(request: pytest.FixtureRequest) -> Iterator[Steady]:
    with closing(loaded(request.param)) as load:
        yield load


@pytest.mark.parametrize("load", ["lanes", "strict"], indirect=True)
def test_an_outage_of_ten_minutes_spends_nobodys_attempt(load: Steady) -> None:
    load.go_on(BEGINS_S + 1)
    before = ends(load)
    load.go_on(BEGINS_S + OUTAGE_S - 1)
    assert ends(load) == before
    assert {process.runtime.state for process in load.world.processes()} == {"waiting for the store"}
    load.go_on(BEGINS_S + OUTAGE_S + canary.LONGEST_WAIT_S + AFTER_S + 10)
    assert quiet(load.world)
    check_end(load.world)
    sent = len(load.world.upstream.sent)
    assert sent > OUTAGE_S / EVERY_S
    assert ends(load) == {(OutcomeKind.RESULT, 1): sent}


@pytest.mark.parametrize("load", ["lanes"], indirect=True)
def test_a_worker_that_blames_its_records_for_an_outage_is_found(load: Steady, monkeypatch: pytest.MonkeyPatch) -> None:
    def blames(self: Canary, now: float, *, works: bool) -> bool:
        probed(self, now, works=True)
        return not works

    probed = Canary.probed
    monkeypatch.setattr(Canary, "probed", blames)
    load.go_on(BEGINS_S + 60)
    assert sum(count for (kind, _), count in ends(load).items() if kind is OutcomeKind.DEAD_LETTER) > 0
