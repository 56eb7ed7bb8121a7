"""Settings that cannot be: what is said of them, all at once, each with its place and with what it has to be."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from streamproc.errors import UsageError
from streamproc.written import CONFIG, PREFIX, Entry, Name, Written, variable_of

NO_SETTINGS = (CONFIG, "STREAMPROC_CACHE")
"""Variables of ours that are no settings."""
ALIKE = 0.85
"""How much a variable has to be like one of ours, of 1, to be taken for a slip of the pen."""
MOST_SHOWN = 80
"""Characters of a value."""
_KUBERNETES = re.compile(r"_SERVICE_(HOST|PORT)(_|$)|_PORT_[0-9]+_(TCP|UDP|SCTP)(_|$)")
_KUBERNETES_PORT = re.compile(r"(tcp|udp|sctp)://")
_WANTED: Mapping[object, str] = {str: "text", SecretStr: "text", bool: "true or false", Path: "a path"}


@dataclass(frozen=True, slots=True)
class Read:
    """What could be read of what is written."""

    sections: Mapping[str, BaseModel]
    """Each section, with its defaults in place of what is wrong."""
    problems: tuple[str, ...]
    wrong: frozenset[str]
    """The settings that have their defaults for that, as in ``flow.drain_s``."""


def read_sections(written: Written, tree: type[BaseModel]) -> Read:
    """Validate each section by itself, so that one fault hides no other."""
    problems = [_unknown(name, entry, tree) for name, entry in written.items() if name[0] not in tree.model_fields]
    sections, wrong = {}, set()
    for section, field in tree.model_fields.items():
        kind = _kind(field)
        if (section,) in written:
            problems.append(
                f"{section} ({written[section,].place()}): this is a section: set its settings, as in "
                f"{variable_of((section, next(iter(kind.model_fields))))}, or in the file below [{section}]"
            )
        here = {name[1]: entry for name, entry in written.items() if name[0] == section and len(name) > 1}
        right = dict(here)
        for name, errors in _errors(kind, here).items():
            entry = right.pop(name)
            known = kind.model_fields.get(name)
            place = (section, name)
            problems.append(_refused(place, entry, known, errors[0]) if known else _unknown(place, entry, tree))
            wrong.add(f"{section}.{name}")
        sections[section] = kind(**{name: entry.value for name, entry in right.items()})
    return Read(sections, tuple(problems), frozenset(wrong))


@dataclass(frozen=True, slots=True)
class Strays:
    """Variables that begin as ours do and are none."""

    slips: tuple[str, ...]
    """What is said of those that are nearly one of ours."""
    others: tuple[str, ...]
    """The names of the rest."""


def strays(variables: Mapping[str, str], tree: type[BaseModel]) -> Strays:
    """Find them.

    Kubernetes sets STREAMPROC_PORT and the like for services whose names begin with streamproc: those are its own.
    """
    ours = {variable_of(name).replace("__", "_"): variable_of(name) for name in _names(tree)}
    ours |= {name: name for name in NO_SETTINGS}
    slips, others = [], []
    for variable, value in variables.items():
        name = variable.upper()
        if not name.startswith(PREFIX) or "__" in name or name in NO_SETTINGS or _of_kubernetes(name, value):
            continue
        if name.removeprefix(PREFIX).lower() in tree.model_fields:
            continue  # a section, which is told where it is read
        meant = _meant(name.removeprefix(PREFIX), {one.removeprefix(PREFIX): said for one, said in ours.items()}, ALIKE)
        if meant:
            slips.append(f"{variable}: no setting{meant}")
        else:
            others.append(variable)
    return Strays(tuple(slips), tuple(others))


def impossible(lines: Iterable[str]) -> UsageError:
    """The error that names everything that is wrong, a line each."""
    return UsageError("the settings are impossible:\n" + "\n".join(f"  {line}" for line in lines))


def _errors(kind: type[BaseModel], here: Mapping[str, Entry]) -> Mapping[str, list[ErrorDetails]]:
    """What is wrong with settings of a section, by name."""
    found: dict[str, list[ErrorDetails]] = {}
    try:
        kind(**{name: entry.value for name, entry in here.items()})
    except ValidationError as raised:
        for error in raised.errors():
            found.setdefault(str(error["loc"][0]), []).append(error)
    return found


def _refused(name: Name, entry: Entry, field: FieldInfo, error: ErrorDetails) -> str:
    wanted = _wanted(field)
    said = f"has to be {wanted}" if wanted else error["msg"]
    return f"{'.'.join(name)}{_shown(entry.value, field)} ({entry.place()}): {said}"


def _shown(value: object, field: FieldInfo) -> str:
    """``=`` and the value; nothing of what may be a secret, or an address with one in it."""
    try:
        text = repr(value)
    except RecursionError:
        return ""
    secret = SecretStr in {field.annotation, *get_args(field.annotation)} or "@" in text
    return "" if secret else f"={text[:MOST_SHOWN]}{'…' if len(text) > MOST_SHOWN else ''}"


def _wanted(field: FieldInfo) -> str | None:
    """What a setting takes."""
    if field.description:
        return field.description
    if get_origin(field.annotation) is Literal:
        return " or ".join(get_args(field.annotation))
    kinds = [kind for kind in (field.annotation, *get_args(field.annotation)) if kind in _WANTED]
    return _WANTED[kinds[0]] if kinds else None


def _unknown(name: Name, entry: Entry, tree: type[BaseModel]) -> str:
    """What is said of a name that nothing has, with the setting that was meant perhaps. Never its value."""
    spelled = {one: variable_of(one) if entry.variable else ".".join(one) for one in _names(tree)}
    same = {".".join(one): said for one, said in spelled.items() if one[1:] == name[1:]}
    if name[0] in tree.model_fields:
        beside = {one[1]: said for one, said in spelled.items() if one[0] == name[0]}
        said = f"unknown setting{_meant(name[1], beside) or _only(same)}"
    else:
        alike = _meant(".".join(name), {".".join(one): said for one, said in spelled.items()}, ALIKE)
        sections = {one: variable_of((one, "...")) if entry.variable else one for one in tree.model_fields}
        choice = f"; the sections are {', '.join(tree.model_fields)}"
        said = f"unknown section{alike or _meant(name[0], sections) or _only(same) or choice}"
    return f"{'.'.join(name)} ({entry.place()}): {said}"


def _meant(name: str, known: Mapping[str, str], cutoff: float = 0.6) -> str:
    """``; did you mean ...?`` of the closest known name, as it is to be written; empty when none is close."""
    close = get_close_matches(name, known, n=1, cutoff=cutoff)
    return f"; did you mean {known[close[0]]}?" if close else ""


def _only(same: Mapping[str, str]) -> str:
    """The same of the one setting that has this name in another section."""
    return f"; did you mean {next(iter(same.values()))}?" if len(same) == 1 else ""


def _names(tree: type[BaseModel]) -> Iterator[Name]:
    for section, field in tree.model_fields.items():
        yield from ((section, name) for name in _kind(field).model_fields)


def _kind(field: FieldInfo) -> type[BaseModel]:
    if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
        raise TypeError(f"a section has to be a model, not {field.annotation!r}")
    return field.annotation


def _of_kubernetes(variable: str, value: str) -> bool:
    """Whether this is what Kubernetes tells of a service."""
    return bool(_KUBERNETES.search(variable)) or (variable.endswith("_PORT") and bool(_KUBERNETES_PORT.match(value)))
