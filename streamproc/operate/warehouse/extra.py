"""What the extra `warehouse` brings, asked for before it is imported."""

import importlib.util

from streamproc.errors import UsageError


def need_client() -> None:
    """Raise UsageError where the client of the database is not installed."""
    if importlib.util.find_spec("psycopg") is None:
        raise UsageError("asking the warehouse needs the package psycopg: run `pip install 'streamproc[warehouse]'`")
