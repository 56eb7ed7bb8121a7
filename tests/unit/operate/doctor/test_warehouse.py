"""Where nobody uses a warehouse nothing is looked at; what rights mean. The rest is seen on real servers."""

from importlib.machinery import ModuleSpec

import pytest
from pydantic import SecretStr

from streamproc.operate.doctor import connect, warehouse
from streamproc.operate.doctor.examine import Examined, examine
from streamproc.operate.doctor.finding import Verdict
from streamproc.operate.warehouse.login import Login
from streamproc.operate.warehouse.rights import Rights
from streamproc.settings import ConnectSettings, Settings, WarehouseSettings
from streamproc.telemetry.clock import SystemClock

USED = Settings(warehouse=WarehouseSettings(address="127.0.0.1:1", password=SecretStr("x"), user="loader"))
ALL = Rights(schema=True, tables=3, lacks=(), foreign=())


def found(settings: Settings) -> list[Examined]:
    return list(examine([connect.check(settings, SystemClock()), warehouse.check(settings)]))


def test_without_a_warehouse_there_is_nothing_to_look_at() -> None:
    for one in found(Settings(warehouse=WarehouseSettings(namespace="unused"))):
        assert one.verdict is Verdict.WELL
        assert one.says.startswith("not used")


@pytest.mark.parametrize("settings", [USED, Settings(connect=ConnectSettings(url="http://127.0.0.1:1"))])
def test_who_names_one_server_of_it_uses_it(settings: Settings) -> None:
    assert not [one for one in found(settings) if one.says.startswith("not used")]


@pytest.mark.parametrize(
    ("rights", "verdict", "says"),
    [
        (ALL, Verdict.WELL, "3 tables"),
        (Rights(schema=False, tables=0, lacks=(), foreign=()), Verdict.WRONG, "no schema public in streamproc at 127"),
        (Rights(schema=True, tables=1, lacks=("update a", "b"), foreign=()), Verdict.WRONG, "loader may not update a"),
        (Rights(schema=True, tables=1, lacks=(), foreign=("dead_letters",)), Verdict.DOUBTFUL, "not own dead_letters"),
    ],
)
def test_what_the_user_may_do_is_judged(
    monkeypatch: pytest.MonkeyPatch, rights: Rights, verdict: Verdict, says: str
) -> None:
    monkeypatch.setattr(warehouse, "try_login", lambda _settings: Login())
    monkeypatch.setattr(warehouse, "rights", lambda _settings: rights)
    (one,) = examine([warehouse.check(USED)])
    assert one.verdict is verdict
    assert says in one.says


def test_what_cannot_be_tried_here_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warehouse, "try_login", lambda _settings: Login(untried="warehouse.password is not set here"))
    (one,) = examine([warehouse.check(USED)])
    assert (one.verdict, one.says) == (Verdict.UNKNOWN, "warehouse.password is not set here")


def test_without_its_client_nobody_can_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(_name: str) -> ModuleSpec | None:
        return None

    monkeypatch.setattr(warehouse, "find_spec", absent)
    (one,) = examine([warehouse.check(USED)])
    assert one.verdict is Verdict.UNKNOWN
    assert "pip install" in one.advice
