"""Handing records to a producer and knowing what became of each."""

from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streamproc.kafka.errors import TIMED_OUT
from streamproc.kafka.skew import Skew
from streamproc.records.record import OutputRecord

_BY_KEY = -1
_POLL_S = 0.1
"""How long a full queue is given to drain before the next try."""


class Deadline:
    """A moment that several calls share."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def left(self) -> float:
        """Seconds until then, at least 0."""
        return max(0.0, self._end - self._clock())


class Outbox:
    """Some records on their way: handed over first, waited for later, so that something else fits in between."""

    def __init__(self, producer: Producer, deadline: Deadline, skew: Skew | None = None) -> None:
        self._producer = producer
        self._deadline = deadline
        self._skew = skew
        self._refusals: list[KafkaError] = []

    def hand_over(self, outputs: Sequence[OutputRecord]) -> None:
        """Give all to the producer, which sends them. Raises KafkaException when its queue stays full."""
        last = len(outputs) - 1
        for place, output in enumerate(outputs):
            if place == last and self._skew is not None:
                self._skew.sent()
                _produce(self._producer, output, self._delivered_last, self._deadline)
            else:
                _produce(self._producer, output, self._delivered, self._deadline)

    def wait(self) -> None:
        """Return when the broker has acknowledged each.

        Raises KafkaException with the first refusal, or with a time-out when some are still on their way at the
        deadline.
        """
        while _flush(self._producer, min(max(self._deadline.left(), _POLL_S), 1.0)) and not self._refusals:
            if not self._deadline.left():
                raise KafkaException(KafkaError(TIMED_OUT, f"{len(self._producer)} records are not acknowledged"))
        if self._refusals:
            raise KafkaException(self._refusals[0])

    def _delivered(self, error: KafkaError | None, _message: "Message[bytes, bytes]") -> None:
        # Bound to this outbox: what an aborted attempt still reports later must not be charged to the next one.
        if error is not None:
            self._refusals.append(error)

    def _delivered_last(self, error: KafkaError | None, message: "Message[bytes, bytes]") -> None:
        self._delivered(error, message)
        if error is None and self._skew is not None:
            self._skew.delivered(message)


def _flush(producer: Producer, seconds: float) -> int:
    try:
        return producer.flush(seconds)
    except SystemError as raised:
        # The client sets its fatal error while a delivery callback is on its way, and Python complains of that.
        if isinstance(raised.__cause__, KafkaException):
            raise raised.__cause__ from None
        raise


def _produce(
    producer: Producer,
    output: OutputRecord,
    delivered: "Callable[[KafkaError | None, Message[bytes, bytes]], None]",
    deadline: Deadline,
) -> None:
    while True:
        try:
            producer.produce(
                output.topic,
                output.value,
                output.key,
                partition=_BY_KEY if output.partition is None else output.partition,
                headers=list(output.headers),
                on_delivery=delivered,
            )
        except BufferError:
            if not deadline.left():
                raise KafkaException(KafkaError(TIMED_OUT, "the producer's queue did not drain")) from None
            producer.poll(_POLL_S)
        else:
            return
