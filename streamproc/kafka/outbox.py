"""Handing records to a producer and knowing what became of each."""

from collections.abc import Callable, Sequence

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streamproc.kafka.errors import TIMED_OUT
from streamproc.records.record import OutputRecord

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


def write_all(producer: Producer, outputs: Sequence[OutputRecord], deadline: Deadline) -> None:
    """Produce every record and return when the broker has acknowledged each.

    Raises KafkaException with the first refusal, or with a time-out when some are still on their way at the deadline.
    """
    refusals: list[KafkaError] = []

    def delivered(error: KafkaError | None, _message: "Message[bytes, bytes]") -> None:
        # Bound to this call: what an aborted attempt still reports later must not be charged to the next one.
        if error is not None:
            refusals.append(error)

    for output in outputs:
        _produce(producer, output, delivered, deadline)
    while _flush(producer, min(deadline.left(), 1.0)) and not refusals:
        if not deadline.left():
            raise KafkaException(KafkaError(TIMED_OUT, f"{len(producer)} records are not acknowledged"))
    if refusals:
        raise KafkaException(refusals[0])


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
                output.topic, output.value, output.key, headers=list(output.headers), on_delivery=delivered
            )
        except BufferError:
            if not deadline.left():
                raise KafkaException(KafkaError(TIMED_OUT, "the producer's queue did not drain")) from None
            producer.poll(_POLL_S)
        else:
            return
