"""Writing as workers do, in transactions, and keeping what has to be in the warehouse."""

import time
import uuid
from collections.abc import Iterable

from confluent_kafka import Producer

from streamproc.kafka.config import client_config
from streamproc.kafka.own_schemas import look_up_outputs
from streamproc.kafka.registry import connect
from streamproc.records.avro import schema_of
from streamproc.records.segment import EmotionSegment
from streamproc.settings import Settings
from tools.warehouse.rows import Encoder, Row, make_letter, make_row, make_segment

WAIT_S = 90


class Writer:
    """One transactional producer: results, a segment for each, and a dead letter each time. Used by one thread."""

    def __init__(self, settings: Settings) -> None:
        name = f"warehouse-{uuid.uuid4().hex[:8]}"
        self._topics = settings.topics
        with connect(settings.registry) as registry:
            ids = look_up_outputs(registry, settings.topics)
        self._encode_segment = Encoder(schema_of(EmotionSegment).text, ids.segment_schema_id)
        self._producer = Producer({**client_config(settings), "transactional.id": name, "linger.ms": 5})
        self._producer.init_transactions(WAIT_S)
        self.rows: dict[str, Row] = {}
        """Results: what was committed last under each id."""
        self.segments: dict[str, Row] = {}
        self.letters: dict[int, Row] = {}
        """Dead letters, by the offset of their origin."""
        self._first_letter = time.time_ns() // 1_000_000

    def commit(self, encode: Encoder, numbers: Iterable[int], *, edition: int = 0, new: bool = False) -> None:
        """Write results, their segments and a dead letter in one transaction."""
        rows, segments = self._write(encode, numbers, edition=edition, new=new)
        letter = self._write_letter()
        self._producer.commit_transaction(WAIT_S)
        self.rows |= rows
        self.segments |= segments
        self.letters[letter["origin_offset"]] = letter

    def abort(self, encode: Encoder, numbers: Iterable[int]) -> None:
        """Write what no reader may see."""
        self._write(encode, numbers, edition=0, new=False)
        self._write_letter()
        self._producer.flush(WAIT_S)
        self._producer.abort_transaction(WAIT_S)
        self._first_letter += 1

    def _write(
        self, encode: Encoder, numbers: Iterable[int], *, edition: int, new: bool
    ) -> tuple[dict[str, Row], dict[str, Row]]:
        rows, segments = {}, {}
        self._producer.begin_transaction()
        for number in numbers:
            key = f"call {number % 1_000}".encode()
            row = make_row(number, edition, time.time_ns() // 1_000_000, new=new)
            rows[row["result_id"]] = row
            self._producer.produce(self._topics.results, encode(row), key)
            segment = make_segment(number, edition)
            segments[segment["segment_id"]] = segment
            self._producer.produce(self._topics.segments, self._encode_segment(segment), key)
            self._producer.poll(0)
        return rows, segments

    def _write_letter(self) -> Row:
        now_ms = time.time_ns() // 1_000_000
        row, headers = make_letter(self._topics, self._first_letter + len(self.letters), now_ms)
        self._producer.produce(
            self._topics.dead_letters, b"\0garbage", b"key", timestamp=now_ms, headers=[*headers, ("theirs", b"\xff\0")]
        )
        return row
