"""Writing results as workers do, in transactions, and keeping what has to be in the warehouse."""

import time
import uuid
from collections.abc import Iterable

from confluent_kafka import Producer

from streamproc.kafka.config import client_config
from streamproc.settings import Settings
from tools.warehouse.rows import Encoder, Row, make_row

WAIT_S = 90


class Writer:
    """One transactional producer of rows. Used by one thread."""

    def __init__(self, settings: Settings) -> None:
        name = f"warehouse-{uuid.uuid4().hex[:8]}"
        self._topic = settings.topics.results
        self._producer = Producer({**client_config(settings), "transactional.id": name, "linger.ms": 5})
        self._producer.init_transactions(WAIT_S)
        self.rows: dict[str, Row] = {}
        """What was committed last under each id."""

    def commit(self, encode: Encoder, numbers: Iterable[int], *, edition: int = 0, new: bool = False) -> None:
        """Write results in one transaction."""
        written = self._write(encode, numbers, edition=edition, new=new)
        self._producer.commit_transaction(WAIT_S)
        self.rows |= written

    def abort(self, encode: Encoder, numbers: Iterable[int]) -> None:
        """Write results that no reader may see."""
        self._write(encode, numbers, edition=0, new=False)
        self._producer.flush(WAIT_S)
        self._producer.abort_transaction(WAIT_S)

    def _write(self, encode: Encoder, numbers: Iterable[int], *, edition: int, new: bool) -> dict[str, Row]:
        written = {}
        self._producer.begin_transaction()
        for number in numbers:
            row = make_row(number, edition, time.time_ns() // 1_000_000, new=new)
            written[row["result_id"]] = row
            self._producer.produce(self._topic, encode(row), f"call {number % 1_000}".encode())
            self._producer.poll(0)
        return written
