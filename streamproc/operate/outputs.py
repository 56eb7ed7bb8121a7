"""What workers made of the recordings, read from the topics as any downstream reader sees it."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, TypeVar

from streamproc.errors import PoisonError
from streamproc.kafka.registry import Registry, UnknownSchemaError, ask, connect
from streamproc.kafka.tail import Tail
from streamproc.operate.dead_letter import NO_LETTER, DeadLetter, read_dead_letter
from streamproc.operate.originals import Originals
from streamproc.records.avro import Row, WriterSchema, decode, parse_writer, schema_of, unframe
from streamproc.records.ledger import LedgerEntry
from streamproc.records.record import Record, TopicPartition
from streamproc.records.result import EmotionResult
from streamproc.settings import Settings, TopicSettings
from streamproc.telemetry.log import get_log

log = get_log(__name__)

T = TypeVar("T", EmotionResult, LedgerEntry)

Output = EmotionResult | DeadLetter | LedgerEntry

Note = Callable[[Record, str], None]
"""Hears of each record that is passed over, and what is wrong with it."""

STEP_S = 0.2
"""The client gathers for so long, even when it has something: rows appear within this."""


class Outputs:
    """Rows of some output topics, in the order of each partition. Used by one thread.

    A record that another program wrote there is passed over: it would end every reader until retention takes it.
    """

    def __init__(self, topics: TopicSettings, registry: Registry, tail: Tail, note: Note) -> None:
        self._tail = tail
        self._note = note
        self._registry = registry
        self._originals = Originals(registry, topics.recordings, time.monotonic)
        self._read: Mapping[str, Callable[[Record], Output | None]] = {
            topics.results: lambda record: self._row(record, EmotionResult),
            topics.ledger: lambda record: self._row(record, LedgerEntry),
            topics.dead_letters: self._letter,
        }
        self._writers: dict[tuple[int, str], WriterSchema] = {}

    def poll(self, timeout_s: float) -> Sequence[Output]:
        """Rows that arrived within ``timeout_s``. Raises DependencyDownError."""
        rows = (self._read[record.topic](record) for record in self._tail.poll(timeout_s))
        return [row for row in rows if row is not None]

    def rest(self) -> Iterator[Output]:
        """Rows up to what is there at this moment."""
        ends: Mapping[TopicPartition, int] = self._tail.ends()
        while not self._tail.reached(ends):
            yield from self.poll(STEP_S)

    def forever(self) -> Iterator[Output]:
        """Rows as they come, without an end."""
        while True:
            yield from self.poll(STEP_S)

    def _letter(self, record: Record) -> DeadLetter | None:
        letter = read_dead_letter(record, self._originals.read(record.value))
        if letter is None:
            self._note(record, NO_LETTER)
        return letter

    def _row(self, record: Record, kind: type[T]) -> T | None:
        try:
            schema_id, payload = unframe(record.value or b"")
            return kind(**decode(payload, self._writer(schema_id, kind), schema_of(kind)))
        except (PoisonError, UnknownSchemaError) as error:
            self._note(record, f"is no {kind.__name__}: {error}")
            return None

    def _writer(self, schema_id: int, kind: type[Row]) -> WriterSchema:
        place = (schema_id, kind.__name__)
        if place not in self._writers:
            self._writers[place] = parse_writer(_text(self._registry, schema_id), schema_of(kind))
        return self._writers[place]


def warn(record: Record, why: str) -> None:
    """Write what is passed over to the log."""
    log.warning(
        "record of another program is passed over",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        detail=why,
    )


@contextmanager
def open_outputs(
    settings: Settings, topics: Sequence[str], since_ms: int | None, note: Note = warn
) -> Iterator[Outputs]:
    """Read these topics from a moment (ms since the epoch) on, or None: what comes from now on.

    Raises UsageError for a topic that is not there, DependencyDownError.
    """
    with connect(settings.registry) as registry, closing(Tail(settings, topics, since_ms)) as tail:
        yield Outputs(settings.topics, registry, tail, note)


def _text(registry: Registry, schema_id: int) -> str:
    schema: Any = ask(registry, lambda: registry.get_schema(schema_id))
    return str(schema.schema_str)
