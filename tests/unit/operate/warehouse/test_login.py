"""What a failed login is told as; what PostgreSQL says of one is seen on the real one."""

from contextlib import AbstractContextManager, nullcontext

import pytest
from pydantic import SecretStr

from streamproc.errors import DependencyDownError, StreamprocError, UsageError
from streamproc.operate.warehouse import database
from streamproc.operate.warehouse.login import DIALECT, Login, explained, try_login
from streamproc.settings import WarehouseSettings

NO_PASSWORD = UsageError("lets nobody in: fe_sendauth: no password supplied. Look at warehouse.user, .password")
SHUT = f"ServiceException: {DIALECT} without JDBC metadata"


def refusing(monkeypatch: pytest.MonkeyPatch, error: StreamprocError | None) -> None:
    def open_database(_settings: WarehouseSettings) -> AbstractContextManager[None]:
        if error is not None:
            raise error
        return nullcontext()

    monkeypatch.setattr(database, "open_database", open_database)


def test_a_login_that_works_is_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, None)
    assert try_login(WarehouseSettings()) == Login()


def test_what_refuses_us_or_is_away_is_the_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (UsageError("FATAL: no. Look at warehouse.password"), DependencyDownError("warehouse", "refused")):
        refusing(monkeypatch, error)
        assert try_login(WarehouseSettings()) == Login(str(error))


def test_without_a_password_of_ours_a_refusal_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    refusing(monkeypatch, NO_PASSWORD)
    assert "not set here" in try_login(WarehouseSettings()).untried
    assert try_login(WarehouseSettings(password=SecretStr("x"))) == Login(str(NO_PASSWORD))


def test_without_its_client_it_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.operate.warehouse.login.find_spec", {"psycopg": None}.__getitem__)
    assert "psycopg" in try_login(WarehouseSettings()).untried


@pytest.mark.parametrize(
    ("login", "says"),
    [
        (Login("FATAL: no"), "Nor can this program: FATAL: no"),
        (Login(untried="no password here"), "no password here, so it was not tried"),
        (Login(), "although this program can"),
    ],
)
def test_a_task_that_cannot_log_in_is_told_by_what_happens_to_us(login: Login, says: str) -> None:
    told = explained(SHUT, login)
    assert says in told
    assert "Dialect" not in told
    assert explained("SocketException: reset", login) == "SocketException: reset"
