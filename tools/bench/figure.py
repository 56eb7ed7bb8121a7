"""One number out of what a benchmark printed."""

from collections.abc import Mapping, Sequence

from streamproc.errors import StreamprocError


class NoFigureError(StreamprocError):
    """A benchmark did not print a number that is asked for."""


def number(document: object, path: Sequence[str | Mapping[str, str | float]]) -> float:
    """Follow a path to its number. Raises NoFigureError."""
    found = document
    for step in path:
        found = _field(found, step) if isinstance(step, str) else _element(found, step)
        if found is None:
            msg = f"there is nothing at {step!r} of {list(path)!r}"
            raise NoFigureError(msg)
    if isinstance(found, bool) or not isinstance(found, int | float):
        msg = f"{list(path)!r} is no number: {str(found)[:80]}"
        raise NoFigureError(msg)
    return float(found)


def _field(found: object, name: str) -> object:
    return found.get(name) if isinstance(found, Mapping) else None


def _element(found: object, fields: Mapping[str, str | float]) -> object:
    if not isinstance(found, Sequence):
        return None
    for one in found:
        if isinstance(one, Mapping) and all(one.get(name) == value for name, value in fields.items()):
            return one
    return None
