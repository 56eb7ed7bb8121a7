"""Avro of the input topic: only schemas that the registry holds under the topic's own subject are read."""

from collections.abc import Callable
from threading import Lock

from streamproc.errors import PoisonError, Reason, Stage, UnresolvedError
from streamproc.kafka.registry import RefusedSchemaError, Registry, UnknownSchemaError, ask
from streamproc.records.avro import WriterSchema, decode, parse_writer, schema_of, unframe
from streamproc.records.avro_caps import refused
from streamproc.records.recording import RecordingEvent, event_from_avro
from streamproc.records.topics import subject

REFUSED_FOR_S = 30.0
"""How long a refused id stays refused before the registry is asked again: a producer may register a moment later."""
MOST_REFUSED = 65_536
"""Refused ids remembered at once: a flood of invented ids costs requests, not memory."""
_MAX_ID = 2**31 - 1


class RegistryEventCodec:
    """Events by the schema they name. ``resolve`` runs elsewhere while ``known`` and ``decode`` go on.

    An id is accepted when its schema is registered under ``<topic>-value`` and inside the structural caps. A record
    of a lane is an event of the input topic too, byte for byte.
    """

    def __init__(self, client: Registry, topic: str, clock: Callable[[], float]) -> None:
        self._client = client
        self._subject = subject(topic)
        self._clock = clock
        self._reader = schema_of(RecordingEvent)
        self._writers: dict[int, WriterSchema] = {}
        self._refused: dict[int, tuple[float, PoisonError]] = {}
        self._refusing = Lock()
        """Finding the oldest takes two steps, between which another thread must not change the dict."""

    def known(self, value: bytes) -> bool:
        """Whether ``decode`` can answer without asking the registry."""
        try:
            schema_id, _ = unframe(value)
        except PoisonError:
            return True
        if schema_id in self._writers or schema_id > _MAX_ID:
            return True
        until, _ = self._refused.get(schema_id, (0.0, None))
        return self._clock() < until

    def resolve(self, value: bytes) -> None:
        """Ask the registry for the value's schema; blocks. Raises DependencyDownError; refusals are remembered."""
        if self.known(value):
            return
        schema_id, _ = unframe(value)
        try:
            self._writers[schema_id] = self._fetch(schema_id)
        except PoisonError as error:
            self._refuse(schema_id, error)

    def decode(self, value: bytes) -> RecordingEvent:
        """Read an event. Raises PoisonError(avro_invalid, schema_unknown or event_invalid).

        Raises UnresolvedError when nothing is known of the value's schema, not even that it is bad: it was never
        resolved, or so many others were refused meanwhile that its refusal is forgotten.
        """
        schema_id, payload = unframe(value)
        if schema_id > _MAX_ID:
            raise _unknown(f"schema id {schema_id} is beyond any that a registry gives")
        if (writer := self._writers.get(schema_id)) is not None:
            return event_from_avro(decode(payload, writer, self._reader))
        if (entry := self._refused.get(schema_id)) is not None:
            refusal = entry[1]
            raise PoisonError(refusal.reason, refusal.stage, refusal.message)
        raise UnresolvedError(f"schema id {schema_id} was not resolved")

    def _refuse(self, schema_id: int, error: PoisonError) -> None:
        with self._refusing:
            while len(self._refused) >= MOST_REFUSED:
                del self._refused[next(iter(self._refused))]
            self._refused[schema_id] = (self._clock() + REFUSED_FOR_S, error)

    def _fetch(self, schema_id: int) -> WriterSchema:
        try:
            schema = ask(self._client, lambda: self._client.get_schema(schema_id))
            versions = ask(self._client, lambda: self._client.get_schema_versions(schema_id))
        except (UnknownSchemaError, RefusedSchemaError):
            raise _unknown(f"the registry has no schema with id {schema_id}") from None
        if self._subject not in {version.subject for version in versions}:
            raise _unknown(f"schema id {schema_id} is not registered under {self._subject}")
        if schema.schema_type != "AVRO" or schema.references or schema.schema_str is None:
            raise refused(f"schema id {schema_id} is not one Avro schema by itself")
        return parse_writer(schema.schema_str, self._reader)


def _unknown(message: str) -> PoisonError:
    return PoisonError(Reason.SCHEMA_UNKNOWN, Stage.ADMIT, message)
