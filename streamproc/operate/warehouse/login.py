"""Whether PostgreSQL lets the connectors' user in: Kafka Connect tells that only in its log."""

from dataclasses import dataclass
from importlib.util import find_spec

from streamproc.errors import DependencyDownError, UsageError
from streamproc.settings import WarehouseSettings

DIALECT = "Unable to determine Dialect"
"""All that Debezium's sink (3.6.0) says of a login that fails, whatever it fails of."""
_LOG = "The log of Kafka Connect has PostgreSQL's own words, behind FATAL"


@dataclass(frozen=True, slots=True)
class Login:
    """One try to log in as connectors do, from here."""

    problem: str = ""
    """Why it failed; empty where it did not."""
    untried: str = ""
    """Why nobody can tell from here; empty where it was tried."""


def try_login(settings: WarehouseSettings) -> Login:
    """Log in and out. A password that is not set here tells nothing: connectors have it from their workers."""
    if find_spec("psycopg") is None:
        return Login(untried="the package psycopg is not installed here")
    from streamproc.operate.warehouse.database import open_database  # noqa: PLC0415  # it needs an extra

    try:
        with open_database(settings):
            return Login()
    except (UsageError, DependencyDownError) as error:
        if not settings.password.get_secret_value() and "password" in str(error).partition("Look at")[0]:
            return Login(untried="warehouse.password is not set here")
        return Login(str(error))


def explained(problem: str, login: Login) -> str:
    """What Connect says of a failed task; where that is no more than that it cannot log in, why."""
    if DIALECT not in problem:
        return problem
    if login.problem:
        return f"it cannot log in to the warehouse. Nor can this program: {login.problem}"
    if login.untried:
        return (
            "it cannot log in to the warehouse: look at warehouse.address, .user, .database and .sslmode, and at "
            f"STREAMPROC_WAREHOUSE__PASSWORD of Connect's workers. {_LOG} ({login.untried}, so it was not tried)"
        )
    return (
        "it could not log in to the warehouse, although this program can: look at STREAMPROC_WAREHOUSE__PASSWORD of "
        f"Connect's workers, and at their way to warehouse.address. {_LOG}"
    )
