"""Topics of a run's own: made for it, filled, gone after it."""

import random
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports these without saying so to mypy
    AdminClient,
    NewTopic,
)

from streamproc.kafka.config import build, client_config
from streamproc.kafka.publisher import Publisher
from streamproc.records.record import OutputRecord
from streamproc.settings import Settings

PARTITIONS = 4
VALUE_BYTES = 300
"""About what an encoded result takes."""
SEED = 3
_CALL_S = 30.0


@contextmanager
def scratch(settings: Settings) -> Iterator[Settings]:
    """Settings with an input and an output topic, a group and a transactional id that nobody else knows.

    Raises KafkaException.
    """
    name = f"bench-{uuid.uuid4().hex[:8]}"
    topics = settings.topics.model_copy(update={"recordings": name, "results": f"{name}.out"})
    kafka = settings.kafka.model_copy(update={"group": name, "transactional_prefix": name})
    admin, names = build(AdminClient, client_config(settings)), [topics.recordings, topics.results]
    replication = settings.topics.replication_factor
    for made in admin.create_topics([NewTopic(topic, PARTITIONS, replication) for topic in names]).values():
        made.result(_CALL_S)
    try:
        yield settings.model_copy(update={"topics": topics, "kafka": kafka})
    finally:
        for gone in admin.delete_topics(names).values():
            gone.result(_CALL_S)


def fill(settings: Settings, count: int) -> None:
    """Put so many records into the input topic, of bytes that no codec makes smaller. Raises DeliveryError."""
    value = random.Random(SEED).randbytes(VALUE_BYTES)  # noqa: S311  # filling, no secret
    with closing(Publisher(settings)) as publisher:
        for number in range(count):
            publisher.send(OutputRecord(settings.topics.recordings, b"%d" % number, value), str(number))
        publisher.flush()
