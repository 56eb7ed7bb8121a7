"""Avro of plain records, in half the time of a general reader: text, whole numbers, lists and maps of text, or null.

What it does not know for sure it leaves: bytes that are too few, too many, or odd in any way are for the library to
judge, so that whatever is refused is refused in its words.
"""

from collections.abc import Callable, Mapping
from typing import Any

Read = Callable[[bytes, int], tuple[Any, int]]

_NULL, _VALUE = 0, 2
"""Which branch of ``["null", T]`` follows, as the byte says it."""
_SEVEN_BITS = 0x7F
_SHIFTS = range(7, 63, 7)
"""Of the bits in the bytes behind a number's first one: a longer number is odd."""


class OddError(Exception):
    """Raised for bytes that the library has to judge."""


class QuickAvro:
    """One schema of plain fields."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        """Raise ValueError for a schema that is not plain."""
        self._fields = [(field["name"], *_plain(field["type"])) for field in schema["fields"]]
        self._nothing = dict.fromkeys(field["name"] for field in schema["fields"])

    @classmethod
    def of(cls, schema: Mapping[str, Any]) -> "QuickAvro | None":
        """Its reader, None when the schema is not plain."""
        try:
            return cls(schema)
        except ValueError:
            return None

    def read(self, payload: bytes) -> dict[str, Any] | None:
        """The fields by name, None for what the library has to judge.

        Nothing is made that is larger than the bytes: a string ends where they do, and an item of a list takes one.
        """
        fields = self._nothing.copy()
        try:
            end = self._read(payload, fields)
        except (OddError, IndexError, UnicodeDecodeError):
            return None
        return fields if end == len(payload) else None

    def _read(self, payload: bytes, fields: dict[str, Any]) -> int:
        """Fill in what is not null. Where the last field ends; behind the bytes, if they are too few for a string.

        Strings and numbers are read here and not by functions of their own, which would take half as long again.
        """
        at = 0
        for name, nullable, text, read in self._fields:
            if nullable:
                branch = payload[at]
                at += 1
                if branch == _NULL:
                    continue
                if branch != _VALUE:
                    raise OddError
            if read is not None:
                fields[name], at = read(payload, at)
                continue
            zigzag = payload[at]
            at += 1
            if zigzag > _SEVEN_BITS:
                zigzag, at = _rest(payload, at, zigzag)
            if not text:
                fields[name] = zigzag >> 1 ^ -(zigzag & 1)
                continue
            if zigzag & 1:
                raise OddError  # a negative length
            end = at + (zigzag >> 1)
            fields[name] = payload[at:end].decode()
            at = end
        return at


def _plain(kind: Any) -> tuple[bool, bool, Read | None]:
    """Whether a field may be null, whether it is a string, and what reads it if it is no number either."""
    match kind:
        case ["null", inner]:
            return (True, *_plain(inner)[1:])
        case "string" | "long":
            return False, kind == "string", None
        case {"type": "array", "items": "string"}:
            return False, False, _texts
        case {"type": "map", "values": "string"}:
            return False, False, _named_texts
    raise ValueError(f"{kind} is not plain")


def _rest(payload: bytes, at: int, first: int) -> tuple[int, int]:
    """A number of several bytes, of which the first was read, still zigzag; and where it ends."""
    zigzag = first & _SEVEN_BITS
    for shift in _SHIFTS:
        byte = payload[at]
        at += 1
        zigzag |= (byte & _SEVEN_BITS) << shift
        if byte <= _SEVEN_BITS:
            return zigzag, at
    raise OddError


def _size(payload: bytes, at: int) -> tuple[int, int]:
    """The length of a string or the number of items that follow, and where those begin."""
    zigzag = payload[at]
    at += 1
    if zigzag > _SEVEN_BITS:
        zigzag, at = _rest(payload, at, zigzag)
    if zigzag & 1:
        raise OddError
    return zigzag >> 1, at


def _text(payload: bytes, at: int) -> tuple[str, int]:
    size, at = _size(payload, at)
    return payload[at : at + size].decode(), at + size


def _texts(payload: bytes, at: int) -> tuple[list[str], int]:
    texts = []
    count, at = _size(payload, at)
    while count:
        for _ in range(count):
            text, at = _text(payload, at)
            texts.append(text)
        count, at = _size(payload, at)
    return texts, at


def _named_texts(payload: bytes, at: int) -> tuple[dict[str, str], int]:
    texts = {}
    count, at = _size(payload, at)
    while count:
        for _ in range(count):
            name, at = _text(payload, at)
            texts[name], at = _text(payload, at)
        count, at = _size(payload, at)
    return texts, at
