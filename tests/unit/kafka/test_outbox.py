"""What the client's own slips do to those who wait for their records."""

import time

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer

from streamproc.kafka.outbox import Deadline, Outbox


class Slipping(Producer):
    """Ends a flush as the client does when its fatal error comes while a delivery callback is on its way."""

    cause: BaseException | None

    def flush(self, timeout: float = -1) -> int:
        del timeout
        raise SystemError("returned a result with an exception set") from self.cause


def write(cause: BaseException | None) -> None:
    producer = Slipping({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
    producer.cause = cause
    Outbox(producer, Deadline(1.0, time.monotonic)).wait()


def test_a_fatal_error_beside_a_running_callback_is_still_that_error() -> None:
    fenced = KafkaException(KafkaError(KafkaError._FENCED, "fenced", fatal=True))
    with pytest.raises(KafkaException) as raised:
        write(fenced)
    assert raised.value is fenced


@pytest.mark.parametrize("cause", [None, ValueError("of another making")])
def test_what_python_complains_of_otherwise_stays_what_it_is(cause: BaseException | None) -> None:
    with pytest.raises(SystemError):
        write(cause)
