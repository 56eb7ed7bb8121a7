"""Where a partition is to be read from: its committed offset, else its earliest record, never a guess."""

from collections.abc import Sequence

import confluent_kafka
from confluent_kafka import Consumer, KafkaError, KafkaException
from tenacity import RetryError, Retrying, retry_if_exception, stop_after_delay, wait_fixed

from streamproc.errors import Fatal, FatalError, StreamprocError
from streamproc.kafka.errors import EXPELLED, STALE, TIMED_OUT, UNSEEN, describe, passes
from streamproc.kafka.positions import to_partitions
from streamproc.records.record import CommitOffset, TopicPartition

_CALL_S = 5.0
_WAIT_S = 0.2
"""Between calls that fail at once; those that time out have waited already."""


class ExpelledError(StreamprocError):
    """Raised when the group went on without us before we knew where its partitions start."""


def read_starts(
    consumer: Consumer, partitions: Sequence[confluent_kafka.TopicPartition], budget_s: float
) -> Sequence[CommitOffset]:
    """Ask the group's coordinator and, for partitions without a commit, the partition's leader; blocks.

    A predecessor's open transaction over these offsets is waited for: the coordinator does not answer until it is
    committed or aborted, and librdkafka reports that as a time-out. The budget must therefore exceed the
    transaction timeout. Raises FatalError when it is spent, or when the answer is a refusal; ExpelledError.
    """
    retrying = Retrying(
        retry=retry_if_exception(_worth_asking), stop=stop_after_delay(budget_s), wait=wait_fixed(_WAIT_S)
    )
    names = ", ".join(f"{p.topic}/{p.partition}" for p in partitions)
    try:
        return retrying(_read, consumer, partitions)
    except RetryError as error:
        cause = error.last_attempt.exception()
        message = f"where to start {names} was not learned in {budget_s:g} s: {cause}"
        raise FatalError(message, Fatal.START_UNKNOWN) from cause
    except KafkaException as error:
        if error.args[0].code() in EXPELLED:
            raise ExpelledError(describe(error.args[0])) from error
        message = f"where to start {names} cannot be learned: {describe(error.args[0])}"
        raise FatalError(message, Fatal.REFUSED) from error


def _worth_asking(error: BaseException) -> bool:
    """The heartbeats, which go on while we ask, bring a member up to the group's epoch, and the client to its topics.

    (It cannot be asked for them here: ``list_topics`` from within a callback ends the process.)
    """
    return passes(error) or (isinstance(error, KafkaException) and error.args[0].code() in STALE | UNSEEN)


def _read(consumer: Consumer, partitions: Sequence[confluent_kafka.TopicPartition]) -> Sequence[CommitOffset]:
    starts = []
    for found in consumer.committed(list(partitions), timeout=_CALL_S):
        if found.error is not None:
            raise KafkaException(found.error)
        offset = found.offset if found.offset >= 0 else earliest(consumer, found)
        starts.append(CommitOffset(found.topic, found.partition, offset, found.metadata or ""))
    return starts


def earliest(consumer: Consumer, partition: confluent_kafka.TopicPartition) -> int:
    """The offset of the first record that the partition still has. Raises KafkaException."""
    watermarks = consumer.get_watermark_offsets(partition, timeout=_CALL_S)
    if watermarks is None:
        raise KafkaException(KafkaError(TIMED_OUT))
    return watermarks[0]


def out_of_range(consumer: Consumer, origin: TopicPartition, offset: int | None, error: KafkaError) -> FatalError:
    """What to raise when a partition does not have the offset that it was to be read from."""
    try:
        now = f"its first record is now {earliest(consumer, *to_partitions([origin]))}"
    except KafkaException as other:
        now = f"its first record is not known: {describe(other.args[0])}"
    return FatalError(
        f"{origin} was to be read from offset {offset}, which is not there: {now}. Records were deleted before "
        f"they were read, or the topic was made anew ({describe(error)}). Commit an offset for the group "
        "explicitly to accept the loss",
        Fatal.OFFSET_GONE,
    )
