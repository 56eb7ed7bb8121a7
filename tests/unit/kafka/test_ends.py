"""Who asks where partitions end, on librdkafka's mock broker."""

from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError

from streamproc.errors import DependencyDownError
from streamproc.kafka.ends import PartitionEnds
from streamproc.records.record import TopicPartition
from streamproc.settings import KafkaSettings, Settings
from tests.unit.kafka.mock_cluster import LIST_OFFSETS, MockCluster, mock_cluster

PLACE = TopicPartition("in", 0)


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    with mock_cluster() as made:
        made.create_topic(PLACE.topic)
        yield made


def of(cluster: MockCluster) -> PartitionEnds:
    return PartitionEnds(Settings(kafka=KafkaSettings(bootstrap_servers=cluster.bootstrap_servers)))


def test_a_client_that_is_answered_with_an_error_is_given_up_for_another(cluster: MockCluster) -> None:
    ends = of(cluster)
    assert ends.read([PLACE]) == {PLACE: 0}
    cluster.answer(LIST_OFFSETS, KafkaError.FENCED_LEADER_EPOCH)
    assert ends.read([PLACE]) == {PLACE: 0}
    assert cluster.count(LIST_OFFSETS) == 3


def test_an_error_that_another_client_meets_as_well_is_told(cluster: MockCluster) -> None:
    ends = of(cluster)
    cluster.answer(LIST_OFFSETS, *[KafkaError.TOPIC_AUTHORIZATION_FAILED] * 2)
    with pytest.raises(DependencyDownError, match="TOPIC_AUTHORIZATION_FAILED"):
        ends.read([PLACE])
    assert ends.read([PLACE]) == {PLACE: 0}
