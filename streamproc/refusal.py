"""Settings that cannot be read: what is said of them. Never a value, which may be a secret."""

import json
import os
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, BeforeValidator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, TomlConfigSettingsSource

from streamproc.errors import UsageError

PREFIX = "STREAMPROC_"
Place = tuple[int | str, ...]
"""Where a setting stands: section, name, and perhaps the place in its list."""


def _listed(value: object) -> object:
    """The list that a variable holds as JSON. Here and not in pydantic-settings, whose error would not name it."""
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise ValueError('this is a list, as in [10, 300] or ["a", "b"]; a variable holds a JSON list')  # noqa: TRY004  # pydantic's way
    return found


Listed = BeforeValidator(_listed)


def toml_source(tree: type[BaseSettings], file: Path) -> TomlConfigSettingsSource:
    """Read the file that the user named: what is not understood there was meant for something. Raises UsageError."""
    if not file.is_file():
        raise UsageError(f"STREAMPROC_CONFIG names {file}, which is no file")
    try:
        source = TomlConfigSettingsSource(tree, file)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is not TOML: it is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not TOML: {error}") from None
    sections = tree.model_fields.keys()
    if unknown := sorted(source.toml_data.keys() - sections):
        raise UsageError(f"{file} has {', '.join(unknown)}; the sections are {', '.join(sections)}")
    return source


def check_sections(variables: Iterable[str], tree: type[BaseModel]) -> None:
    """Refuse variables of sections that do not exist: pydantic-settings would pass them over in silence.

    Only ``STREAMPROC_<X>__<Y>`` is ours: Kubernetes sets STREAMPROC_PORT and the like for a service of that name.
    Raises UsageError.
    """
    known = {section.upper(): section for section in tree.model_fields}
    choice = f"; the sections are {', '.join(known.values())}"
    lines = []
    for variable in sorted(variables):
        section, found, _ = variable.upper().removeprefix(PREFIX).partition("__")
        if variable.upper().startswith(PREFIX) and found and section not in known:
            meant = _meant(section, {name: f"{PREFIX}{name}__" for name in known})
            lines.append(f"{variable}: unknown section{meant or choice}")
    if lines:
        raise impossible(lines)


def impossible(lines: Iterable[str]) -> UsageError:
    """The error that names everything that is wrong, a line each."""
    return UsageError("the settings are impossible:\n" + "\n".join(f"  {line}" for line in lines))


def unreadable(errors: Iterable[ErrorDetails], tree: type[BaseSettings], file: Path | None) -> UsageError:
    """The error that names each wrong setting, and where it is written: in a variable, or in this TOML file."""
    tables = {} if file is None else toml_source(tree, file).toml_data
    variables = {variable.upper() for variable in os.environ}

    def written(place: Place) -> str:
        variable = f"{PREFIX}{'__'.join(map(str, place[:2]))}".upper()
        return variable if variable in variables or not _holds(tables, place[:2]) else f"in {file}"

    return impossible(line for error in errors for line in describe(error, tree, written))


def _holds(tables: object, place: Place) -> bool:
    """Whether a file has something there."""
    for name in place:
        if not isinstance(tables, dict) or name not in tables:
            return False
        tables = tables[name]
    return True


def describe(error: ErrorDetails, tree: type[BaseModel], written: Callable[[Place], str]) -> Iterator[str]:
    """What is wrong with a setting, or, a line each, with how several go together."""
    place = error["loc"]
    match error["type"]:
        case "extra_forbidden":
            said = _unknown(place, tree)
        case "value_error":
            said = str(error["ctx"]["error"])
        case _:
            said = error["msg"]
    if not place:
        yield from said.splitlines()
        return
    path = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in place)[1:]
    yield f"{path} ({written(place)}): {said}"


def _unknown(place: Place, tree: type[BaseModel]) -> str:
    """What is said of a name that its section does not have, with the one that was meant perhaps."""
    section, name = map(str, place[:2])
    kind = tree.model_fields[section].annotation
    known = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else ()
    return "unknown setting" + _meant(name, {one: f"{section}.{one}" for one in known})


def _meant(name: str, known: Mapping[str, str]) -> str:
    """``; did you mean ...?`` of the closest known name, as it is to be written; empty when none is close."""
    close = get_close_matches(name, known, n=1)
    return f"; did you mean {known[close[0]]}?" if close else ""
