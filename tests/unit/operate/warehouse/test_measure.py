"""What is shown of brokers and a database that may be away; what they say is seen on real ones."""

import math

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from streamproc.errors import DependencyDownError
from streamproc.operate.warehouse import measure as module
from streamproc.operate.warehouse.aside import Aside
from streamproc.operate.warehouse.lag import Lag
from streamproc.operate.warehouse.login import Login
from streamproc.operate.warehouse.measure import Measure, Measured
from streamproc.settings import ConnectSettings, Settings
from streamproc.telemetry.connectors import ConnectorMetrics

SETTINGS = Settings(connect=ConnectSettings(registry_url="http://registry/apis/registry/v2"))


class World:
    """Brokers and a database."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away = False
        self.login = Login()
        monkeypatch.setattr(module, "lag", self.lag)
        monkeypatch.setattr(module, "aside", lambda *_: Aside(3, 28, ()))
        monkeypatch.setattr(module, "try_login", lambda *_: self.login)

    def lag(self, _settings: Settings, name: str, _topic: str, _now_ms: int) -> Lag:
        if self.away:
            raise DependencyDownError("kafka", "nobody")
        return Lag(7, 1.5, {}) if name == "dead-letters" else Lag(0, 0.0, {})


def shown(metrics: ConnectorMetrics) -> dict[str, float]:
    pairs = (line.rsplit(" ", 1) for line in generate_latest(metrics.registry).decode().splitlines() if line[0] != "#")
    return {name.removeprefix("streamproc_"): float(value) for name, value in pairs}


def test_what_brokers_and_database_say_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    world, metrics = World(monkeypatch), ConnectorMetrics()
    assert Measure(SETTINGS, lambda: 0)(metrics) == Measured()
    told = shown(metrics)
    assert told['connector_lag_records{connector="dead-letters"}'] == 7
    assert told['connector_lag_seconds{connector="dead-letters"}'] == 1.5
    assert told['connector_lag_records{connector="emotion-results"}'] == 0
    assert told["connectors_put_aside_records"] == 28
    assert told["warehouse_down"] == 0
    world.login = Login("FATAL: no")
    assert Measure(SETTINGS, lambda: 0)(metrics) == Measured(warehouse="FATAL: no")
    assert shown(metrics)["warehouse_down"] == 1


def test_no_old_lag_is_shown_while_brokers_are_away_which_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    world, metrics = World(monkeypatch), ConnectorMetrics()
    measure = Measure(SETTINGS, lambda: 0)
    measure(metrics)
    world.away = True
    with capture_logs() as logs:
        for _ in range(3):
            assert measure(metrics) == Measured(brokers="kafka does not answer: nobody")
    assert math.isnan(shown(metrics)['connector_lag_records{connector="dead-letters"}'])
    assert [one["detail"] for one in logs] == ["kafka does not answer: nobody"]
    world.away = False
    measure(metrics)
    assert shown(metrics)['connector_lag_records{connector="dead-letters"}'] == 7


def test_a_login_that_cannot_be_tried_is_not_shown_as_one_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    world, metrics = World(monkeypatch), ConnectorMetrics()
    world.login = Login(untried="no password")
    assert Measure(SETTINGS, lambda: 0)(metrics) == Measured()
    assert math.isnan(shown(metrics)["warehouse_down"])


def test_every_line_of_the_list_says_why_and_is_what_is_shown() -> None:
    metrics = ConnectorMetrics()
    for definition in metrics.definitions:
        assert definition.why.endswith(".")
        assert definition.unit in definition.name
    names = {name.partition("{")[0] for name in shown(metrics)}
    assert {f"streamproc_{name}" for name in names} == {one.name for one in metrics.definitions}
