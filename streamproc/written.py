"""Where settings are written: arguments, variables, ``local.env``, a TOML file. Each value is read with its place."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from pydantic import BaseModel

from streamproc.errors import UsageError

PREFIX = "STREAMPROC_"
MARK = "__"
"""Between section and name in a variable."""
CONFIG = "STREAMPROC_CONFIG"
"""The variable that names the TOML file."""

Name = tuple[str, ...]
"""Section and name; the section alone where something stands for the whole of it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value as it is written."""

    value: object
    place: Callable[[], str]
    """Tells where; asked only for what is wrong."""
    variable: bool = False
    """Whether it is written as a variable."""


Written = Mapping[Name, Entry]
"""What is set. Two are joined as any mappings are, the one that outranks the other last."""


def variable_of(name: Name) -> str:
    """The variable that holds a setting."""
    return f"{PREFIX}{MARK.join(name)}".upper()


def from_arguments(arguments: Mapping[str, object]) -> Written:
    """What code sets: for each section another one, or some of its settings by name."""
    tables = {
        section: {name: getattr(value, name) for name in value.model_fields_set}
        if isinstance(value, BaseModel)
        else value
        for section, value in arguments.items()
    }
    return {name: Entry(value, lambda: "an argument") for name, value in _flat(tables)}


def from_variables(variables: Mapping[str, str], sections: Mapping[str, object]) -> Written:
    """What variables set. Only ``STREAMPROC_<X>__<Y>`` is a setting, or a section that is mistaken for one."""
    found: dict[Name, Entry] = {}
    for variable, value in variables.items():
        section, mark, name = variable.upper().removeprefix(PREFIX).lower().partition(MARK)
        if variable.upper().startswith(PREFIX) and (mark or section in sections):
            found[(section, name) if mark else (section,)] = Entry(value, partial(str, variable), variable=True)
    return found


def from_local_env(file: Path, sections: Mapping[str, object]) -> Written:
    """What the file of variables sets; nothing where there is none. Raises UsageError for one that cannot be read."""
    try:
        text = file.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UsageError(
            f"{file.name} of local.state_dir cannot be looked at: {error.strerror}. "
            "Set STREAMPROC_LOCAL__STATE_DIR to a folder of yours"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not UTF-8: `streamproc up` writes it anew") from None
    variables = dotenv_values(stream=StringIO(text), interpolate=False)
    written = from_variables({name: value or "" for name, value in variables.items()}, sections)
    return {
        name: Entry(entry.value, partial("{} in {}".format, entry.place(), file), variable=True)
        for name, entry in written.items()
    }


def from_toml(file: Path) -> Written:
    """What the TOML file sets. Raises UsageError for one that cannot be read; its text is not repeated."""
    try:
        if not file.is_file():
            raise UsageError(f"{CONFIG} names {file}, which is no file")
        text = file.read_text("utf-8")
        tables = tomllib.loads(text)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not TOML: it is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{file} is not TOML of settings: a value in it is nested too deeply to be read") from None
    return {name: Entry(value, partial(_line_in, file, text, name)) for name, value in _flat(tables)}


def _flat(tables: Mapping[str, object]) -> Iterator[tuple[Name, object]]:
    for section, values in tables.items():
        if isinstance(values, Mapping) and values:
            yield from (((section, str(name)), value) for name, value in values.items())
        else:
            yield (section,), values


def _line_in(file: Path, text: str, name: Name) -> str:
    """Which line a setting begins on: the lines before it parse without it, and with those that it takes it is there.

    The parser says, since a pattern would take text inside a string for a setting.
    """
    lines = text.split("\n")
    begins = 1
    for count in range(1, len(lines) + 1):
        try:
            tables = tomllib.loads("\n".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue  # what begins here goes on in the next line
        if _holds(tables, name):
            break
        begins = count + 1
    return f"{file}, line {begins}"


def _holds(tables: object, name: Name) -> bool:
    for part in name:
        if not isinstance(tables, dict) or part not in tables:
            return False
        tables = tables[part]
    return True
