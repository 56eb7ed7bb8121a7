"""The database that results are brought to, and what the connectors' user may do in it."""

from importlib.util import find_spec

from streamproc.operate.doctor.check import WITHIN_S, Check
from streamproc.operate.doctor.connect import used
from streamproc.operate.doctor.finding import Finding, doubtful, unknown, well, wrong
from streamproc.operate.warehouse.login import try_login
from streamproc.operate.warehouse.rights import Rights, rights
from streamproc.settings import Settings, WarehouseSettings


def check(settings: Settings) -> Check:
    """Looks with the connectors' user at the rights that it has; nothing is written."""
    return Check(
        "warehouse",
        "Does PostgreSQL let the connectors' user in, and may it make, read, write and widen its tables?",
        lambda: _look(settings),
        "Start PostgreSQL (`streamproc up --with warehouse` does here), or set warehouse.* to what is there.",
        2 * WITHIN_S,
    )


def _look(settings: Settings) -> Finding:
    if not used(settings):
        return well("not used: neither connect.url nor warehouse.address is set")
    if find_spec("psycopg") is None:
        return unknown("the package psycopg is not installed here", "Run `pip install 'streamproc[warehouse]'`.")
    login = try_login(settings.warehouse)
    if login.untried:
        return unknown(login.untried, "Set it here for this check: connectors have it from Kafka Connect's workers.")
    return _judge(settings.warehouse, rights(settings))


def _judge(settings: WarehouseSettings, found: Rights) -> Finding:
    where, user = f"{settings.database} at {settings.address}", settings.user
    if not found.schema:
        return wrong(
            f"there is no schema {settings.namespace} in {where}",
            f"Make it (create schema {settings.namespace} authorization {user}), or set warehouse.namespace.",
        )
    if found.lacks:
        return wrong(f"{user} may not {found.lacks[0]}", "Grant it.", *found.lacks[1:])
    if found.foreign:
        return doubtful(
            f"{user} does not own {', '.join(found.foreign)}: only an owner adds the columns of a next version",
            f"Make {user} a member of the owner's role, or add such columns by hand before.",
        )
    return well(f"{found.tables} tables in {where}; {user} may make, read, write and widen them")
