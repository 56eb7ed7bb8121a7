"""What an error of the broker or of librdkafka means for a transaction: one table."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import Enum, auto
from types import MappingProxyType

from confluent_kafka import KafkaError, KafkaException

from streamproc.errors import DependencyDownError, DependencyRefusesError, Fatal, FatalError, FencedError


class Decision(Enum):
    """What is left to do after an error."""

    FENCED = auto()
    """Another producer took our place, or the broker gave us up: the process ends."""
    FATAL = auto()
    """Nothing that this process could do again would help, or nobody knows whether it would: the process ends."""
    ABORT = auto()
    """The work is to be done again, after the transaction was aborted."""
    AGAIN = auto()
    """The same call is to be made again: it went on, or it can."""
    DOWN = auto()
    """No broker answers."""


# ruff: noqa: SLF001 - the underscore of a code is librdkafka's mark of a local error, not Python's of a private name
END_OF_PARTITION = KafkaError._PARTITION_EOF
OUT_OF_RANGE = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION})
TIMED_OUT = KafkaError._TIMED_OUT
DOWN = frozenset({KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE})
"""No broker answers."""
CAUSES = frozenset({KafkaError._RESOLVE, KafkaError._AUTHENTICATION, KafkaError._SSL})
"""Why a connection failed, where that is no broker that is away. A call that waits for one only says that it waited."""
FORBIDDEN = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    }
)
OVERTAKEN = KafkaError.ILLEGAL_GENERATION
CLOSED = KafkaError._DESTROY
PURGED = frozenset({KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT})
"""Said of records when their transaction failed for a reason of its own."""
AFTERMATH = frozenset({*PURGED, KafkaError._STATE})
"""The same, and what is said to calls that come too late for it."""
STALE = frozenset({KafkaError.STALE_MEMBER_EPOCH, KafkaError.REBALANCE_IN_PROGRESS})
"""We are still a member, but not yet at the group's latest epoch."""
UNSEEN = frozenset({KafkaError._UNKNOWN_PARTITION, KafkaError._UNKNOWN_TOPIC})
"""The group knows of a partition before our client does: its topic was given more of them."""
EXPELLED = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.FENCED_INSTANCE_ID,
    }
)
"""The group goes on without us; the client joins again by itself."""

_MEANINGS: Mapping[Decision, frozenset[int]] = MappingProxyType(
    {
        Decision.FENCED: frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}),
        Decision.DOWN: DOWN,
        # A broker, leader or coordinator is changing or too slow.
        Decision.AGAIN: frozenset(
            {
                KafkaError._TIMED_OUT,
                KafkaError._TIMED_OUT_QUEUE,
                KafkaError._MSG_TIMED_OUT,
                KafkaError._IN_PROGRESS,
                KafkaError._WAIT_COORD,
                KafkaError.REQUEST_TIMED_OUT,
                KafkaError.NETWORK_EXCEPTION,
                KafkaError.BROKER_NOT_AVAILABLE,
                KafkaError.REPLICA_NOT_AVAILABLE,
                KafkaError.NOT_LEADER_FOR_PARTITION,
                KafkaError.LEADER_NOT_AVAILABLE,
                KafkaError.FENCED_LEADER_EPOCH,
                KafkaError.UNKNOWN_LEADER_EPOCH,
                KafkaError.OFFSET_NOT_AVAILABLE,
                KafkaError.UNKNOWN_TOPIC_OR_PART,
                KafkaError.UNKNOWN_TOPIC_ID,
                KafkaError.NOT_ENOUGH_REPLICAS,
                KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
                KafkaError.KAFKA_STORAGE_ERROR,
                KafkaError.NOT_COORDINATOR,
                KafkaError.COORDINATOR_NOT_AVAILABLE,
                KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
                KafkaError.TRANSACTION_COORDINATOR_FENCED,
                KafkaError.UNSTABLE_OFFSET_COMMIT,
                KafkaError.CONCURRENT_TRANSACTIONS,
                KafkaError.THROTTLING_QUOTA_EXCEEDED,
            }
        ),
        # One transaction is spoilt, and nothing of it visible: the group moved on, or the broker has forgotten us.
        Decision.ABORT: frozenset(
            {
                *STALE,
                *EXPELLED,
                *PURGED,
                CLOSED,
                KafkaError.INVALID_MSG,
                KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER,
                KafkaError.UNKNOWN_PRODUCER_ID,
                KafkaError.INVALID_PRODUCER_ID_MAPPING,
                KafkaError.OPERATION_NOT_ATTEMPTED,
                KafkaError.TRANSACTION_ABORTABLE,
            }
        ),
        # Somebody has to change a permission, a setting or a program first.
        Decision.FATAL: frozenset(
            {
                KafkaError.TOPIC_AUTHORIZATION_FAILED,
                KafkaError.GROUP_AUTHORIZATION_FAILED,
                KafkaError.CLUSTER_AUTHORIZATION_FAILED,
                KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
                KafkaError.SASL_AUTHENTICATION_FAILED,
                KafkaError.SECURITY_DISABLED,
                KafkaError.MSG_SIZE_TOO_LARGE,
                KafkaError.RECORD_LIST_TOO_LARGE,
                KafkaError.INVALID_MSG_SIZE,
                KafkaError.INVALID_RECORD,
                KafkaError.INVALID_TIMESTAMP,
                KafkaError.TOPIC_EXCEPTION,
                KafkaError.POLICY_VIOLATION,
                KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
                KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
                KafkaError.UNSUPPORTED_VERSION,
                KafkaError.INVALID_REQUEST,
                KafkaError.INVALID_REQUIRED_ACKS,
                KafkaError.INVALID_GROUP_ID,
                KafkaError.INVALID_TXN_STATE,
                KafkaError.INVALID_TRANSACTION_TIMEOUT,
                KafkaError.OFFSET_METADATA_TOO_LARGE,
                KafkaError.INVALID_COMMIT_OFFSET_SIZE,
                KafkaError.UNKNOWN,
            }
        ),
    }
)
_TABLE: Mapping[int, Decision] = MappingProxyType(
    {code: decision for decision, codes in _MEANINGS.items() for code in codes}
)
"""What is not here is FATAL: an error that nobody has thought about is not tried again."""
_ITSELF = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_RECORD,
    }
)
"""What a broker says of one record, whoever writes it."""


def decide(error: KafkaError) -> Decision:
    """Look an error up. Whether its state survived, librdkafka knows; whether to try again, the table."""
    meaning = _TABLE.get(error.code(), Decision.FATAL)
    if meaning is Decision.FENCED:
        return meaning  # also where librdkafka believes that it could abort: that is not ours any more
    if error.fatal():
        return Decision.FATAL
    if error.txn_requires_abort():
        return Decision.FATAL if meaning is Decision.FATAL else Decision.ABORT
    return Decision.AGAIN if error.retriable() else meaning


def waited(error: KafkaError) -> bool:
    """Whether brokers were away, changing or too slow: then trying again is no use of patience."""
    return _TABLE.get(error.code()) in {Decision.AGAIN, Decision.DOWN}


def is_fatal(error: KafkaError) -> bool:
    """Whether a client is beyond repair; a consumer tells that by a code, not by the mark that a producer sets."""
    return error.fatal() or error.code() == KafkaError._FATAL


def passes(error: BaseException) -> bool:
    """Whether a call outside a transaction is worth making again."""
    return isinstance(error, KafkaException) and decide(error.args[0]) in {Decision.AGAIN, Decision.DOWN}


def describe(error: KafkaError) -> str:
    """Name and text of an error, for people."""
    return f"{error.name()}: {error.str()}"


def away(servers: str, detail: str) -> DependencyDownError:
    """The exception for brokers that do not answer; ``servers`` as in the settings."""
    return DependencyDownError("kafka", _where(servers, detail))


def unread(servers: str, error: KafkaError) -> DependencyDownError:
    """The same for what a reader was not given: DependencyRefusesError where it is for want of a right."""
    kind = DependencyRefusesError if error.code() in FORBIDDEN else DependencyDownError
    return kind("kafka", _where(servers, describe(error)))


def _where(servers: str, detail: str) -> str:
    return f"{servers} (kafka.bootstrap_servers): {detail}"


def fatal(what: str, error: KafkaError) -> FatalError:
    """The exception that ends the process."""
    said = f"{what}: {describe(error)}"
    if decide(error) is Decision.FENCED:
        return FencedError(said)
    if error.code() not in _TABLE:
        return FatalError(f"{said}. This error is not in our table, so it is not tried again", Fatal.UNFORESEEN)
    if error.code() in _ITSELF:
        return FatalError(said, Fatal.OUTCOME_REFUSED)
    unanswered = _TABLE[error.code()] in {Decision.AGAIN, Decision.DOWN}
    return FatalError(said, Fatal.FATE_UNKNOWN if unanswered else Fatal.REFUSED)


@contextmanager
def reported(what: str) -> Iterator[None]:
    """For calls that nobody makes again: turn what the client raises into what ends the process, by the table.

    Raises DependencyDownError for what passes, so that it is started again when it has; FatalError for the rest.
    """
    try:
        yield
    except KafkaException as raised:
        error: KafkaError = raised.args[0]
        if passes(raised):
            raise DependencyDownError("kafka", f"{what}: {describe(error)}") from raised
        raise fatal(what, error) from raised
