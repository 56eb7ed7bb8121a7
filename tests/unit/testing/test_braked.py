"""How the oracle judges a brake: releases that lead to no results have to come ever more slowly."""

from dataclasses import replace
from typing import Any

import pytest

from streamproc.errors import Reason
from streamproc.records.outcome import OutcomeKind
from streamproc.settings import BrakeSettings, FlowSettings, Settings
from streamproc.testing.simulation import plan as plans
from streamproc.testing.simulation.braked import Braked
from streamproc.testing.simulation.plan import make_plan
from streamproc.testing.simulation.reading import End, Origin
from streamproc.testing.simulation.simulation import play, simulate
from streamproc.testing.simulation.violation import Violation
from streamproc.worker.core.instant import Instant
from streamproc.worker.stages.probe import Probe

WINDOW = 10
SETTINGS = Settings(
    brake=BrakeSettings(window=WINDOW, in_a_row=4), flow=FlowSettings(micro_batch_records=1, micro_batches=2)
)
DEAD = End(Origin(0, 0), 1, OutcomeKind.DEAD_LETTER, "", Reason.AVRO_INVALID)
RESULT = End(Origin(0, 0), 1, OutcomeKind.RESULT, "an id", "ok")


def goes_on(braked: Braked, times: int, now: float, *ends: End) -> None:
    """Commit with a brake that has gone on so many times, and is off."""
    braked.check("worker", ends or [DEAD] * 4, {"times": times, "on": False}, now)


def test_releases_that_come_ever_more_slowly_are_as_they_should_be() -> None:
    braked, now = Braked(SETTINGS), 0.0
    for times, pause in enumerate((0, 0, 1, 2, 4, 8, 16, 30, 30, 30)):
        now += pause
        goes_on(braked, times, now)
    with pytest.raises(Violation, match="without a window of results"):
        goes_on(braked, 11, now + 29)  # two releases in less than the pause before one


def test_releases_at_once_are_found() -> None:
    braked = Braked(SETTINGS)
    goes_on(braked, 1, 0)
    goes_on(braked, 2, 0.5)
    with pytest.raises(Violation, match=r"went on 3 times in 0\.900 s without a window of results"):
        goes_on(braked, 3, 0.9)


def test_who_joins_anew_has_the_brake_that_he_had() -> None:
    """A process that lost its partitions comes back as another member; in this seed its brake had gone on twice."""
    assert simulate(201081).violation is None


def test_dead_letters_without_a_brake_are_found_whatever_it_says() -> None:
    braked = Braked(SETTINGS)
    for now in range(6):
        goes_on(braked, 0, now / 10)
    with pytest.raises(Violation, match=r"wrote 28 dead letters in 0\.600 s"):
        goes_on(braked, 0, 0.6)


def test_a_window_of_results_begins_anew() -> None:
    braked = Braked(SETTINGS)
    for times in range(20):
        goes_on(braked, times, times / 10, *[DEAD] * 4, *[RESULT] * WINDOW)


def test_releases_at_once_that_let_one_result_through_each_are_found() -> None:
    braked = Braked(SETTINGS)
    for times in range(3):
        goes_on(braked, times, times / 10, *[DEAD] * 4, RESULT)
    with pytest.raises(Violation, match=r"went on 3 times in 0\.300 s without a window of results"):
        goes_on(braked, 3, 0.3, *[DEAD] * 4, RESULT)


def test_a_brake_that_any_good_record_releases_at_once_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    release = Probe.release

    def forgets(self: Any, now: Instant, how: str) -> None:
        release(self, now, how)
        self._results = self._window

    monkeypatch.setattr(plans, "_BURST", 1.0)
    worlds = [replace(make_plan(seed), faults=(), alone=False, strict=False) for seed in range(4)]
    assert [play(world).violation for world in worlds] == [None] * len(worlds)
    monkeypatch.setattr(Probe, "release", forgets)
    assert any("without a window of results" in (play(world).violation or "") for world in worlds)
