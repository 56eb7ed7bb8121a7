"""What becomes of an error that the client raises out of a call of the polling thread: one of our own, by the table."""

from collections.abc import Callable, Iterator, Mapping

import confluent_kafka
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message

from streamproc.errors import DependencyDownError, ExitCode, FatalError, FencedError, StreamprocError
from streamproc.kafka import source as module
from streamproc.kafka.errors import reported
from streamproc.kafka.source import KafkaSource
from streamproc.records.record import TopicPartition
from streamproc.settings import KafkaSettings, Settings
from tests.unit.kafka.error_table import CODES
from tests.unit.kafka.mock_cluster import MockCluster, mock_cluster
from tests.unit.kafka.test_source_errors import Nobody, poll_until

TOPIC = "in"
HELD = frozenset({TopicPartition(TOPIC, 0)})


def pause_and_resume(source: KafkaSource) -> None:
    source.pause(HELD)
    source.pause(frozenset())


CALLS: Mapping[str, Callable[[KafkaSource], object]] = {
    "consume": lambda source: source.poll(1, 0.01),
    "pause": lambda source: source.pause(HELD),
    "resume": pause_and_resume,
    "incremental_assign": lambda source: poll_until(source, lambda: False),
    "incremental_unassign": lambda source: source.close(),
    "unsubscribe": lambda source: source.close(),
}
"""A call of the client, and what makes the source call it."""


class Refusing(Consumer):
    """The client, but for one call: librdkafka fails these for reasons that no broker can be made to give."""

    call = ""
    code = 0

    def _refuse(self, call: str) -> None:
        if call == self.call:
            raise KafkaException(KafkaError(self.code))

    def consume(self, num_messages: int = 1, timeout: float = -1) -> "list[Message[bytes, bytes]]":
        self._refuse("consume")
        return super().consume(num_messages, timeout)

    def pause(self, partitions: list[confluent_kafka.TopicPartition]) -> None:
        self._refuse("pause")
        super().pause(partitions)

    def resume(self, partitions: list[confluent_kafka.TopicPartition]) -> None:
        self._refuse("resume")
        super().resume(partitions)

    def unsubscribe(self) -> None:
        self._refuse("unsubscribe")
        super().unsubscribe()

    def incremental_assign(self, partitions: list[confluent_kafka.TopicPartition]) -> None:
        super().incremental_assign(partitions)  # or the client never closes
        self._refuse("incremental_assign")

    def incremental_unassign(self, partitions: list[confluent_kafka.TopicPartition]) -> None:
        super().incremental_unassign(partitions)
        self._refuse("incremental_unassign")


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with mock_cluster() as cluster:
        cluster.create_topic(TOPIC)
        yield cluster


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        pytest.param(KafkaError._ALL_BROKERS_DOWN, DependencyDownError, id="down"),
        pytest.param(KafkaError._TIMED_OUT, DependencyDownError, id="too slow"),
        pytest.param(KafkaError._STATE, FatalError, id="not in the table"),
        pytest.param(KafkaError._FENCED, FencedError, id="fenced"),
    ],
)
def test_an_error_out_of_a_call_is_one_of_ours(
    cluster: MockCluster, monkeypatch: pytest.MonkeyPatch, call: str, code: int, kind: type[StreamprocError]
) -> None:
    monkeypatch.setattr(module, "Consumer", Refusing)
    settings = Settings(kafka=KafkaSettings(bootstrap_servers=cluster.bootstrap_servers, group="g"))
    source = KafkaSource(settings, [TOPIC], Nobody())
    refusing = source._consumer
    assert isinstance(refusing, Refusing)
    refusing.code = code
    if call == "incremental_assign":
        refusing.call = call
    else:
        poll_until(source, lambda: source.owned == HELD)
        refusing.call = call
    with pytest.raises(StreamprocError) as raised:
        CALLS[call](source)
    assert type(raised.value) is kind
    assert raised.value.exit_code in {ExitCode.DEPENDENCY_DOWN, ExitCode.FATAL}
    refusing.call = ""
    source.close()


def raise_code(code: int) -> None:
    with reported("a call failed"):
        raise KafkaException(KafkaError(code))


def test_no_code_gets_out_as_the_clients_own_exception() -> None:
    kinds = {}
    for code in CODES:
        with pytest.raises((DependencyDownError, FatalError), match="a call failed") as raised:
            raise_code(code)
        kinds[code] = type(raised.value)
    assert kinds[7] is DependencyDownError  # REQUEST_TIMED_OUT
    assert kinds[90] is FencedError  # PRODUCER_FENCED
    assert kinds[CODES[-1]] is FatalError


def test_what_is_not_the_clients_passes_as_it_is() -> None:
    def fail() -> None:
        with reported("a call failed"):
            raise RuntimeError("not Kafka's")

    with pytest.raises(RuntimeError, match="not Kafka's"):
        fail()
