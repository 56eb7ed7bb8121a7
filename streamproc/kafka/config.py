"""Settings in librdkafka's words: the one place where its option names stand."""

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from confluent_kafka import KafkaException

from streamproc.errors import UsageError
from streamproc.records.topics import MAX_FORWARDED_BYTES
from streamproc.settings import Settings, heartbeat_s

T = TypeVar("T")
_RECONNECT_MAX_MS = 2_000
"""A broker that is back is found within this; librdkafka's own 10 s would outlast a broker's restart."""
_PREFETCH_KIB = 16 * 1024
"""What the client may hold beside the worker's own credits. Events are references of about 1 KiB, so this is plenty."""
_OUTBOX_KIB = 64 * 1024
"""What the producer may hold; beyond it ``produce`` says BufferError and the sink waits."""
_FETCH_BACKOFF_MS = 20
"""With a small prefetch the fetcher pauses often; at librdkafka's 1,000 ms that caps a consumer at 27,000 records/s."""
_RETRY_BACKOFF_MS = 5
"""The first request after a commit is often told to come again; librdkafka's 100 ms are then added to a transaction."""
_RETRY_BACKOFF_MAX_MS = 100
_LINGER_MS = 5
"""Fills batches while a micro-batch is handed over; the flush at its end does not wait for it."""
_TRANSACTION_LINGER_MS = 0
"""In a transaction records gather anyhow, while their partitions are added to it; then nothing is to hold them back."""
_METADATA_MAX_AGE_MS = 3_000
"""How long the producer believes that it knows the group's coordinator. A broker that restarts, or leaves for good, can
drop out of the metadata; ``send_offsets_to_transaction`` then waits for it for as long as it is believed, past its own
time-out (librdkafka issues 5511 and 5456). With the default of 15 minutes a restart of the broker hung the producer
each time; with this it goes on after a second."""

_TOPICS_MS = 5_000
"""How long a consumer believes that a topic has no more partitions; the default of five minutes outlasts a start."""


class ClientConfig(dict[str, Any]):
    """Options of a client. Its repr names them without their values, since one of them is a password."""

    def __repr__(self) -> str:
        return f"ClientConfig({', '.join(self)})"

    __str__ = __repr__


def client_config(settings: Settings) -> ClientConfig:
    """What every client needs: where the brokers are and who we are."""
    kafka = settings.kafka
    config = ClientConfig(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "security.protocol": kafka.security_protocol,
            "client.id": "streamproc",
            "reconnect.backoff.max.ms": _RECONNECT_MAX_MS,
        }
    )
    if kafka.sasl_mechanism is not None:
        config["sasl.mechanism"] = kafka.sasl_mechanism
    if kafka.sasl_username is not None and kafka.sasl_password is not None:
        config["sasl.username"] = kafka.sasl_username
        config["sasl.password"] = kafka.sasl_password.get_secret_value()
    if kafka.ssl_ca_location is not None:
        config["ssl.ca.location"] = str(kafka.ssl_ca_location)
    return config


def consumer_config(settings: Settings) -> ClientConfig:
    """A member of the worker's group, which starts, commits and resets nowhere by itself."""
    kafka = settings.kafka
    config = client_config(settings)
    config |= {
        "group.id": kafka.group,
        "group.protocol": kafka.group_protocol,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "topic.metadata.refresh.interval.ms": _TOPICS_MS,
        "max.poll.interval.ms": _ms(kafka.max_poll_interval_s),
        "queued.min.messages": 2 * settings.flow.micro_batch_records,
        "queued.max.messages.kbytes": _PREFETCH_KIB,
        "fetch.queue.backoff.ms": _FETCH_BACKOFF_MS,
    }
    if kafka.group_protocol == "classic":
        # With the consumer protocol these are the broker's business, and librdkafka refuses them.
        config |= {
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": _ms(kafka.session_timeout_s),
            "heartbeat.interval.ms": _ms(heartbeat_s(settings)),
        }
    return config


def producer_config(settings: Settings) -> ClientConfig:
    """An idempotent producer: nothing lost, doubled or reordered by its own retries."""
    config = client_config(settings)
    config |= {
        "enable.idempotence": True,
        "acks": "all",
        "partitioner": "murmur2_random",
        "compression.type": "lz4",
        "linger.ms": _LINGER_MS,
        "retry.backoff.ms": _RETRY_BACKOFF_MS,
        "retry.backoff.max.ms": _RETRY_BACKOFF_MAX_MS,
        "message.max.bytes": MAX_FORWARDED_BYTES,
        "queue.buffering.max.kbytes": _OUTBOX_KIB,
        "delivery.timeout.ms": _ms(settings.kafka.transaction_timeout_s),
    }
    return config


def transactional_config(settings: Settings, slot: int | str) -> ClientConfig:
    """The producer of one worker slot, or of another writer by its whole id; who comes after it under it fences it."""
    config = producer_config(settings)
    config |= {
        "transactional.id": slot if isinstance(slot, str) else f"{settings.kafka.transactional_prefix}-{slot}",
        "transaction.timeout.ms": _ms(settings.kafka.transaction_timeout_s),
        "linger.ms": _TRANSACTION_LINGER_MS,
        "metadata.max.age.ms": _METADATA_MAX_AGE_MS,
    }
    return config


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def without_failures(record: logging.LogRecord) -> bool:
    """Drop a line for each try to connect: that a broker is away is said once, by whoever misses it."""
    return not record.getMessage().startswith("FAIL ")


def build(kind: Callable[..., T], config: ClientConfig) -> T:
    """Make a client that speaks through our log. Raises UsageError for settings that librdkafka refuses."""
    logger = logging.getLogger("librdkafka")
    logger.addFilter(without_failures)
    try:
        return kind(config, logger=logger)
    except KafkaException as raised:
        raise UsageError(f"the Kafka client refuses its settings: {raised.args[0].str()}") from None
