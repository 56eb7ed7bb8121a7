"""Who is killed for no reason of its records blames none of them; who is killed by one blames that one."""

from dataclasses import replace
from itertools import islice
from random import Random

import pytest

from streamproc.errors import Reason
from streamproc.testing.simulation import plan as plans
from streamproc.testing.simulation.fault import Fault, FaultKind, Point
from streamproc.testing.simulation.plan import Plan, make_plan
from streamproc.testing.simulation.recordings import Kind, announce
from streamproc.testing.simulation.simulation import play
from streamproc.worker.core import strikes
from streamproc.worker.stages import admit

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


def test_a_record_that_one_crash_alone_condemns_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    condemned = f"ended as {Reason.KILLED_WORKER}, not as"
    with monkeypatch.context() as broken:
        broken.setattr(strikes, "CONDEMNED_AFTER", 1)
        broken.setattr(admit, "CONDEMNED_AFTER", 1)
        found = (seed for seed in range(200) if condemned in (play(killed_at_random(seed)).violation or ""))
        seeds = list(islice(found, 3))
    assert len(seeds) == 3
    assert [play(killed_at_random(seed)).violation for seed in seeds] == [None] * 3


@pytest.mark.parametrize("company", ["_BURST", "_STRICT"])
def test_recordings_that_kill_meet_the_brake_and_strict_order(company: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plans, company, 1.0)
    monkeypatch.setattr(plans, "_DEADLY", 1.0)
    worlds = [plan for seed in range(24) if (plan := make_plan(seed)).burst or plan.strict]
    deadly = [world for world in worlds if any(one.kind is Kind.KILLS_WORKER for _, one in world.announced)]
    assert len(deadly) > 6
    found = [play(world) for world in deadly]
    assert [one.violation for one in found] == [None] * len(found)
    assert company == "_STRICT" or sum(one.brakes for one in found) > len(found)
