"""Codecs that write JSON, so that a test reads what it wrote."""

import json
from collections.abc import Mapping

from streamproc.errors import DependencyDownError, PoisonError, Reason, Stage
from streamproc.records.ledger import LedgerEntry
from streamproc.records.recording import RecordingEvent, event_from_avro
from streamproc.records.result import EmotionResult
from streamproc.records.segment import EmotionSegment

MOST_ROW_BYTES = 100_000


def encode_event(
    object_key: str, event_id: str | None = None, schema: int = 1, fields: Mapping[str, object] | None = None
) -> bytes:
    """An event's value: a schema id, a colon, JSON."""
    event = {"recorded_at": 0, "bucket": "recordings", "event_id": event_id, "object_key": object_key, **(fields or {})}
    return f"{schema}:{json.dumps(event)}".encode()


class JsonEvents:
    """An ``EventCodec`` with a registry that a test fills: ``registered`` are the subject's ids, ``down`` its state."""

    def __init__(self) -> None:
        self.registered = {1}
        self.down = False
        self._asked: set[int] = {1}

    def known(self, value: bytes) -> bool:
        """Whether the id was asked for before, or cannot be read at all."""
        try:
            return self._ident(value) in self._asked
        except ValueError:
            return True

    def resolve(self, value: bytes) -> None:
        """Ask."""
        if self.down:
            raise DependencyDownError("registry", "down")
        self._asked.add(self._ident(value))

    def decode(self, value: bytes) -> RecordingEvent:
        """Read an event back."""
        try:
            ident = self._ident(value)
            fields = json.loads(value.partition(b":")[2])
        except ValueError as error:
            raise PoisonError(Reason.AVRO_INVALID, Stage.ADMIT, str(error)) from None
        if ident not in self.registered:
            raise PoisonError(Reason.SCHEMA_UNKNOWN, Stage.ADMIT, f"schema {ident}")
        return event_from_avro(fields)

    @staticmethod
    def _ident(value: bytes) -> int:
        return int(value.partition(b":")[0])


class JsonRows:
    """A ``RowCodec``."""

    def encode(self, row: EmotionResult | EmotionSegment | LedgerEntry) -> bytes:
        """Encode a row. Raises PoisonError for attributes that are longer than a row takes here."""
        value = json.dumps({name: getattr(row, name) for name in row.__dataclass_fields__}).encode()
        if len(value) > MOST_ROW_BYTES:
            raise PoisonError(Reason.AVRO_INVALID, Stage.ASSEMBLE, f"a row of {len(value)} bytes")
        return value
