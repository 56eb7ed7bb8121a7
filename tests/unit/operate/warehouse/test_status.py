"""Whether all is well, as one look can tell."""

from collections.abc import Sequence

import pytest

from streamproc.errors import DependencyDownError
from streamproc.operate.warehouse import status as module
from streamproc.operate.warehouse.apply import MISSING, Applied, Change
from streamproc.operate.warehouse.aside import Aside
from streamproc.operate.warehouse.lag import Lag
from streamproc.operate.warehouse.login import Login
from streamproc.operate.warehouse.rest import State
from streamproc.operate.warehouse.status import LATE_S, status
from streamproc.settings import Settings

NAMES = ("emotion-results", "emotion-segments", "dead-letters")
RUNS, FAILS = State("RUNNING", ("RUNNING",), None), State("RUNNING", ("FAILED",), "refused")


class World:
    """Connectors of which one fails some looks after the first, and brokers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.looks = 0
        self.first = RUNS
        self.fails_at = 99
        self.waits_s = 0.0
        self.away = False
        monkeypatch.setattr(module, "look", self.look)
        monkeypatch.setattr(module, "lag", self.lag)
        monkeypatch.setattr(module, "aside", lambda *_: Aside(0, 0, ()))
        monkeypatch.setattr(module, "try_login", lambda *_: Login())
        monkeypatch.setattr(module, "_differing", lambda *_: ())
        monkeypatch.setattr(module, "FAILS_S", 0.7)

    def look(self, _settings: Settings) -> Sequence[Applied]:
        self.looks += 1
        states = (FAILS if self.looks >= self.fails_at else self.first, RUNS, RUNS)
        return [Applied(name, Change.LOOKED_AT, state) for name, state in zip(NAMES, states, strict=True)]

    def lag(self, _settings: Settings, name: str, _topic: str, _now_ms: int) -> Lag:
        if self.away:
            raise DependencyDownError("kafka", "nobody")
        return Lag(1, self.waits_s, {}) if name == NAMES[0] else Lag(0, 0.0, {})


def test_one_that_is_late_and_fails_each_time_is_not_taken_for_one_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.waits_s, world.fails_at = LATE_S + 1, 2
    seen = status(Settings(), 0)
    assert not seen.well
    assert [one.state for one in seen.connectors] == [FAILS, RUNS, RUNS]
    assert seen.connectors[0].problem == "refused"


def test_one_that_is_late_and_goes_on_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.waits_s = LATE_S + 1
    assert status(Settings(), 0).well
    assert world.looks > 1


def test_what_is_not_late_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.waits_s = LATE_S - 1
    assert status(Settings(), 0).well
    assert world.looks == 1


def test_one_that_is_not_there_is_not_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    world.first, world.waits_s = MISSING, LATE_S + 1
    seen = status(Settings(), 0)
    assert [(one.lag is None, one.topic) for one in seen.connectors] == [
        (True, "emotion.results"),
        (False, "emotion.segments"),
        (False, "audio.recordings.dlq"),
    ]
    assert world.looks == 1
