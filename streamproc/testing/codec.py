"""Codecs that write JSON, so that a test reads what it wrote."""

import json
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any

from fastavro.validation import validate

from streamproc.errors import DependencyDownError, PoisonError, Reason, Stage, UnresolvedError
from streamproc.records.avro import schema_of
from streamproc.records.avro_caps import refused
from streamproc.records.ledger import LedgerEntry
from streamproc.records.recording import RecordingEvent, event_from_avro
from streamproc.records.result import EmotionResult
from streamproc.records.segment import EmotionSegment

MOST_ROW_BYTES = 100_000
REFUSED_FOR_S = 30.0
_MAX_ID = 2**31 - 1


def encode_event(
    object_key: str, event_id: str = "", schema: int = 1, fields: Mapping[str, object] | None = None
) -> bytes:
    """An event's value for ``JsonEvents``."""
    event = {"recorded_at": 0, "bucket": "recordings", "event_id": event_id, "object_key": object_key, **(fields or {})}
    return f"{schema}:{json.dumps(event)}".encode()


class JsonEvents:
    """Satisfies ``worker.ports.EventCodec``: ``<schema id>:<JSON of the event's Avro fields>``.

    The registry is two plain attributes, which may be changed at any time:

    ``registered``  ids of the topic's subject; any other is unknown or somebody else's, which is the same to a record
    ``down``        while true every question raises DependencyDownError

    ``resolved`` are ids that were asked for before.
    """

    def __init__(self, clock: Callable[[], float] = lambda: 0.0, resolved: Collection[int] = ()) -> None:
        self.registered = {1}
        self.down = False
        self._clock = clock
        self._accepted = set(resolved)
        self._refused: dict[int, float] = {}

    def known(self, value: bytes) -> bool:
        """Whether ``decode`` can answer without asking the registry."""
        try:
            ident, _ = _split(value)
        except PoisonError:
            return True
        return ident in self._accepted or ident > _MAX_ID or self._clock() < self._refused.get(ident, 0.0)

    def resolve(self, value: bytes) -> None:
        """Ask the registry. Raises DependencyDownError; an id that is refused is so for ``REFUSED_FOR_S``."""
        if self.known(value):
            return
        if self.down:
            raise DependencyDownError("schema registry", "injected")
        ident, _ = _split(value)
        if ident in self.registered:
            self._accepted.add(ident)
        else:
            self._refused[ident] = self._clock() + REFUSED_FOR_S

    def decode(self, value: bytes) -> RecordingEvent:
        """Read an event. Raises PoisonError, and UnresolvedError when the value's schema was never resolved."""
        ident, text = _split(value)
        if ident in self._accepted:
            return _event(text)
        if ident in self._refused or ident > _MAX_ID:
            raise PoisonError(Reason.SCHEMA_UNKNOWN, Stage.ADMIT, f"schema id {ident} is not registered")
        raise UnresolvedError(f"schema id {ident} was not resolved")


def _split(value: bytes) -> tuple[int, bytes]:
    ident, colon, text = value.partition(b":")
    if not colon or not ident.isdigit() or len(ident) > len(str(_MAX_ID)):
        raise refused("the value does not begin with a schema id and a colon")
    return int(ident), text


@lru_cache(1024)  # a simulator reads the same few events for hours
def _event(text: bytes) -> RecordingEvent:
    try:
        fields: Mapping[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refused(f"the value is not JSON: {error}"[:256]) from None
    if not validate(fields, schema_of(RecordingEvent).parsed, raise_errors=False):
        raise refused("the value has not the fields of an event")
    return event_from_avro(fields)


class JsonRows:
    """A ``RowCodec``."""

    def encode(self, row: EmotionResult | EmotionSegment | LedgerEntry) -> bytes:
        """Encode a row. Raises PoisonError for attributes that are longer than a row takes here."""
        value = json.dumps({name: getattr(row, name) for name in type(row).__annotations__}).encode()
        if len(value) > MOST_ROW_BYTES:
            raise PoisonError(Reason.AVRO_INVALID, Stage.ASSEMBLE, f"a row of {len(value)} bytes")
        return value
