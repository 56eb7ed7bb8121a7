"""The tables of docs/configuration.md, made from the settings: ``PYTHONPATH=. python tools/settings_table.py``."""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from typing import Literal, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from streamproc.chain import CHAIN, Link, values_of
from streamproc.settings import Settings

CHAIN_HEAD = "| has to hold | by default | otherwise |\n|---|---|---|"
HEAD = "| setting | default | |\n|---|---|---|"


def chain() -> str:
    """A row for each link between settings."""
    return "\n".join([CHAIN_HEAD, *map(_link, CHAIN)])


def _link(link: Link) -> str:
    low, bound = _code(link, link.sum), _code(link, link.bound)
    only = " (with `{}` = `{}`)".format(*link.where) if link.where else ""
    low_now, high_now = link.ends(values_of(Settings.model_construct()))
    return f"| {low} ≤ {bound}{only} | {low_now:.12g} ≤ {link.share * high_now:.12g} | {link.otherwise} |"


def _code(link: Link, words: str) -> str:
    """The words, with settings in the type of code."""
    for name in (*link.low, link.high, link.each):
        words = words.replace(name, f"`{name}`") if name else words
    return words


def table() -> str:
    """A row for each setting: its name, its default, and what the code says of it."""
    return "\n".join([HEAD, *(row for name in Settings.model_fields for row in _rows(name))])


def _rows(section: str) -> list[str]:
    kind = type(getattr(Settings.model_construct(), section))
    notes = _notes(kind)
    return [
        f"| `{section}.{name}` | {_default(field)} | {_about(field, notes.get(name, ''))} |"
        for name, field in kind.model_fields.items()
    ]


def _default(field: FieldInfo) -> str:
    value = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    if value is None:
        return "none"
    if value in ("", ()):
        return "empty"
    if isinstance(value, bool):
        return f"`{value}`".lower()
    return f"`{list(value) if isinstance(value, tuple) else value}`"


def _about(field: FieldInfo, note: str) -> str:
    kind = field.annotation
    words = [", ".join(f"`{word}`" for word in get_args(kind)) + "."] if get_origin(kind) is Literal else []
    return " ".join([*words, *([note] if note else [])])


def _notes(kind: type[BaseModel]) -> Mapping[str, str]:
    """The strings below the fields, on one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False) if isinstance(body, ast.ClassDef) else ():
        match field, text:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(note))):
                found[name] = " ".join(note.replace("``", "`").split())
    return found


if __name__ == "__main__":
    print(chain(), table(), sep="\n\n")
