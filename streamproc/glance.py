"""A glance at the settings: the few that a worker needs before it can read them, by the standard library alone.

Nothing is judged here. Where a glance is not enough there is none, and the settings say what is wrong, if anything is.
"""

from collections.abc import Iterator, Mapping
from os.path import isfile
from typing import NamedTuple

_CONFIG = "STREAMPROC_CONFIG"
_PREFIX = "STREAMPROC_"
_MARK = "__"
_STATE_DIR = "local", "state_dir"

Name = tuple[str, str]
"""Section and name."""


class Glance(NamedTuple):
    """What was seen, with the defaults that the settings have too."""

    host: str = "127.0.0.1"
    port: int = 9464
    group: str = "streamproc-emotion"


NAMES: tuple[Name, ...] = (("http", "host"), ("http", "port"), ("kafka", "group"))
"""Of the settings in a glance, in its order."""


def glance(variables: Mapping[str, str]) -> Glance | None:
    """What variables or the TOML file set; None where either cannot be read, or ``local.env`` sets one of them."""
    try:
        written = {**dict(_from_toml(variables.get(_CONFIG))), **dict(_from_variables(variables))}
        if _in_local_env(str(written.get(_STATE_DIR, ".streamproc")) or "."):
            return None
        host, port, group = (written.get(name, default) for name, default in zip(NAMES, Glance(), strict=True))
        str(group).encode()  # which bytes of a variable that are no text are not
        # By its text: what Python takes for a number besides, as True, the settings do not.
        return Glance(host, int(str(port)), group) if isinstance(host, str) and isinstance(group, str) else None
    except (OSError, ValueError, RecursionError):
        return None


def _from_variables(variables: Mapping[str, str]) -> Iterator[tuple[Name, object]]:
    for variable, value in variables.items():
        if variable.upper().startswith(_PREFIX):
            section, _, name = variable.upper().removeprefix(_PREFIX).lower().partition(_MARK)
            yield (section, name), value


def _from_toml(file: str | None) -> Iterator[tuple[Name, object]]:
    if not file:
        return
    if not isfile(file):  # noqa: PTH113  # pathlib takes long to import
        raise OSError("no file, as a pipe, which may be waited for, for ever")

    import tomllib  # noqa: PLC0415  # a third of what all of this takes, and seldom needed

    with open(file, "rb") as opened:  # noqa: PTH123  # as above
        tables = tomllib.load(opened)
    for section, values in tables.items():
        if isinstance(values, dict):
            yield from (((section, str(name)), value) for name, value in values.items())


def _in_local_env(folder: str) -> bool:
    """Whether the file of local servers sets one of them, which ``up`` never does: its form is not read here."""
    try:
        with open(f"{folder}/local.env", encoding="utf-8") as opened:  # noqa: PTH123  # as above
            text = opened.read().upper()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return any(f"{_PREFIX}{section}{_MARK}{name}".upper() in text for section, name in NAMES)
