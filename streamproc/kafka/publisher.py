"""Writing records outside transactions: idempotent, in order, each acknowledged or named."""

import time
from collections.abc import Callable
from functools import partial
from itertools import count
from threading import Lock

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streamproc.errors import DependencyDownError
from streamproc.kafka.config import build, producer_config
from streamproc.kafka.errors import TIMED_OUT, describe
from streamproc.kafka.outbox import Deadline
from streamproc.records.record import OutputRecord
from streamproc.settings import Settings

_POLL_S = 0.1
"""How long a full queue is given to drain before the next try."""
_FLUSH_STEP_S = 1.0
"""Ctrl-C is noticed within this."""
_SPARE_S = 5.0
"""Past librdkafka's own delivery timeout, so that each record's fate is known when a flush gives up."""


class DeliveryError(DependencyDownError):
    """Raised when records were not acknowledged; ``names`` says which, as they were named when sent."""

    def __init__(self, names: tuple[str, ...], detail: str, servers: str) -> None:
        unheard = f"{len(names)} records were not acknowledged, the first is {names[0]}"
        super().__init__("kafka", f"{servers} (kafka.bootstrap_servers): {unheard}: {detail}")
        self.names = names


class Publisher:
    """A producer for whoever announces or replays. May be called from any thread."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        self._servers = settings.kafka.bootstrap_servers
        self._timeout_s = settings.kafka.transaction_timeout_s + _SPARE_S
        self._clock = clock
        self._producer = build(Producer, producer_config(settings))
        self._lock = Lock()
        self._numbers = count()
        self._open: dict[int, str] = {}
        self._refused: list[tuple[str, str]] = []

    def send(self, record: OutputRecord, name: str, timestamp_ms: int | None = None) -> None:
        """Queue a record under a name for errors; ``flush`` tells whether it arrived.

        Waits while the queue is full. Raises DeliveryError when it will not be taken at all.
        """
        number = next(self._numbers)
        with self._lock:
            self._open[number] = name
        try:
            self._produce(record, timestamp_ms or 0, partial(self._delivered, number))
        except KafkaException as raised:
            with self._lock:
                del self._open[number]
            raise DeliveryError((name,), describe(raised.args[0]), self._servers) from raised
        self._producer.poll(0)

    def flush(self) -> None:
        """Return when the broker has acknowledged everything that was sent before. Raises DeliveryError."""
        deadline = Deadline(self._timeout_s, self._clock)
        while self._producer.flush(min(deadline.left(), _FLUSH_STEP_S)) and deadline.left():
            pass
        with self._lock:
            failed = [*self._refused, *((name, "no answer") for name in self._open.values())]
            self._refused.clear()
        if failed:
            raise DeliveryError(tuple(name for name, _ in failed), failed[0][1], self._servers)

    def close(self) -> None:
        """Drop what is queued and the connections; flush first."""
        self._producer.purge()

    def _produce(
        self,
        record: OutputRecord,
        timestamp_ms: int,
        delivered: "Callable[[KafkaError | None, Message[bytes, bytes]], None]",
    ) -> None:
        deadline = Deadline(self._timeout_s, self._clock)
        while True:
            try:
                self._producer.produce(
                    record.topic,
                    record.value,
                    record.key,
                    headers=list(record.headers),
                    timestamp=timestamp_ms,
                    on_delivery=delivered,
                )
            except BufferError:
                if not deadline.left():
                    raise KafkaException(KafkaError(TIMED_OUT, "the producer's queue did not drain")) from None
                self._producer.poll(_POLL_S)
            else:
                return

    def _delivered(self, number: int, error: KafkaError | None, _message: "Message[bytes, bytes]") -> None:
        with self._lock:
            name = self._open.pop(number)
            if error is not None:
                self._refused.append((name, describe(error)))
