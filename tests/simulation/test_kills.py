"""Who is killed for no reason of its records blames none of them; who is killed by one blames that one."""

from dataclasses import replace
from random import Random

from streamproc.errors import Reason
from streamproc.testing.simulation.fault import Fault, FaultKind, Point
from streamproc.testing.simulation.plan import Plan, make_plan
from streamproc.testing.simulation.recordings import Kind, announce
from streamproc.testing.simulation.simulation import play

KILLS = 300
PLANNED = 16
"""In each world, of which a quarter finds a worker where it strikes."""
LATEST = 60
"""Visit to a point."""


def killed_at_random(seed: int) -> Plan:
    """A world of good recordings."""
    draw, plan = Random(seed), make_plan(seed)
    good = tuple((at, one) for at, one in plan.announced if one.expected != Reason.KILLED_WORKER)
    places = {(draw.choice(list(Point)), draw.randrange(1, LATEST)) for _ in range(PLANNED)}
    crashes = tuple(Fault(FaultKind.CRASH, *place) for place in sorted(places))
    return replace(plan, announced=good, faults=crashes, alone=False, retention_at=None)


def test_kills_at_random_condemn_nobody() -> None:
    killed = seed = 0
    while killed < KILLS:
        plan = killed_at_random(seed)
        if len(plan.announced) >= 10:
            history: list[str] = []
            found = play(plan, lambda _, what, history=history: history.append(what))  # type: ignore[misc]  # a default
            assert found.violation is None, seed
            assert [line for line in history if Reason.KILLED_WORKER in line] == []
            killed += found.killed
        seed += 1


def test_recordings_that_kill_are_given_up_in_every_company() -> None:
    for seed in range(40):
        draw, plan = Random(seed), make_plan(seed)
        first = len(plan.announced)
        killers = tuple(
            (draw.uniform(0, 2), announce(first + number, kind, draw.randrange(plan.partitions), b"k", None))
            for number, kind in enumerate((Kind.KILLS_DECODER, Kind.KILLS_DEVICE, Kind.KILLS_WORKER, Kind.KILLS_WORKER))
        )
        history: list[str] = []
        alone = replace(plan, announced=(*plan.announced, *killers), faults=(), alone=False, retention_at=None)
        found = play(alone, lambda _, what, history=history: history.append(what))  # type: ignore[misc]  # a default
        assert found.violation is None, seed
        given_up = [line for line in history if "dead letter" in line and Reason.KILLED_WORKER in line]
        assert len(given_up) >= len(killers), history
