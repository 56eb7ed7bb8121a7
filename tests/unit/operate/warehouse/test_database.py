"""What PostgreSQL's refusals mean; that it says so is seen on the real one."""

import psycopg
import pytest

from streamproc.errors import DependencyDownError, DependencyRefusesError, StreamprocError, UsageError
from streamproc.operate.warehouse.database import open_database
from streamproc.settings import WarehouseSettings

AT = 'connection failed: connection to server at "10.0.0.1", port 5432 failed: '


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ('FATAL:  password authentication failed for user "nobody"', UsageError),
        ("fe_sendauth: no password supplied", UsageError),
        ('FATAL:  database "nope" does not exist', UsageError),
        ("server does not support SSL, but SSL was required", UsageError),
        ('root certificate file "/x/root.crt" does not exist', UsageError),
        ("received invalid response to SSL negotiation: H", UsageError),
        ("FATAL:  sorry, too many clients already", DependencyRefusesError),
        ("FATAL:  remaining connection slots are reserved for roles with SUPERUSER", DependencyRefusesError),
        ("FATAL:  the database system is starting up", DependencyRefusesError),
        ("FATAL:  terminating connection due to administrator command", DependencyRefusesError),
        ("Connection refused", DependencyDownError),
        ("SSL SYSCALL error: EOF detected", DependencyDownError),
        ("SSL connection has been closed unexpectedly", DependencyDownError),
        ("timeout expired", DependencyDownError),
        ("server closed the connection unexpectedly", DependencyDownError),
    ],
)
def test_a_login_is_wrong_or_the_server_busy_or_away(
    monkeypatch: pytest.MonkeyPatch, said: str, kind: type[StreamprocError]
) -> None:
    def refuse(**_words: object) -> None:
        raise psycopg.OperationalError(AT + said)

    monkeypatch.setattr(psycopg, "connect", refuse)
    with pytest.raises(kind) as caught, open_database(WarehouseSettings(address="10.0.0.1:5432")):
        pass
    assert type(caught.value) is kind
    assert " ".join(said.split()) in str(caught.value)
    assert ("does not answer" in str(caught.value)) == (kind is DependencyDownError)


def test_a_name_of_a_host_is_no_word_of_postgresql(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_words: object) -> None:
        raise psycopg.OperationalError("failed to resolve host 'password-SSL.example': [Errno -2] Name not known")

    monkeypatch.setattr(psycopg, "connect", refuse)
    with (
        pytest.raises(DependencyDownError, match=r"host 'password-SSL\.example'"),
        open_database(WarehouseSettings(address="password-SSL.example:5432")),
    ):
        pass


def test_a_question_of_the_client_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_words: object) -> None:
        hint = "\n\tIs the server running on that host and accepting TCP/IP connections?"
        raise psycopg.OperationalError(AT + "Connection refused" + hint)

    monkeypatch.setattr(psycopg, "connect", refuse)
    with (
        pytest.raises(DependencyDownError, match=r"Connection refused$"),
        open_database(WarehouseSettings(address="10.0.0.1:5432")),
    ):
        pass
