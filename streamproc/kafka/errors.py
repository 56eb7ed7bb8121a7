"""What an error of the broker or of librdkafka means for a transaction: one table."""

from enum import Enum, auto

from confluent_kafka import KafkaError, KafkaException

from streamproc.errors import FatalError, FencedError


class Decision(Enum):
    """What is left to do after an error."""

    FENCED = auto()
    """Another producer took our place, or the broker gave us up: the process ends."""
    FATAL = auto()
    """librdkafka cannot go on, or we misuse it: the process ends."""
    ABORT = auto()
    """The transaction is to be aborted; another one may succeed."""
    AGAIN = auto()
    """The same call is to be made again: it went on, or it can."""
    DOWN = auto()
    """No broker answers."""


# ruff: noqa: SLF001 - the underscore of a code is librdkafka's mark of a local error, not Python's of a private name
END_OF_PARTITION = KafkaError._PARTITION_EOF
OUT_OF_RANGE = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION})
TIMED_OUT = KafkaError._TIMED_OUT
OVERTAKEN = KafkaError.ILLEGAL_GENERATION
CLOSED = KafkaError._DESTROY
_FENCED = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})
_DOWN = frozenset({KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE})
_AGAIN = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._IN_PROGRESS,
        KafkaError._WAIT_COORD,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
        KafkaError.CONCURRENT_TRANSACTIONS,
    }
)
"""A broker, leader or coordinator is changing. Only the transaction calls say ``retriable`` themselves."""
_MEMBERSHIP = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
    }
)
"""The group moved on while we committed: nothing was committed, and what is still ours can be."""


def decide(error: KafkaError) -> Decision:
    """Look an error up. librdkafka's own verdict goes first: it knows whether its state survived."""
    code = error.code()
    if error.fatal():
        return Decision.FENCED if code in _FENCED else Decision.FATAL
    if error.txn_requires_abort() or code in _MEMBERSHIP:
        return Decision.ABORT
    if code in _FENCED:
        return Decision.FENCED
    if code in _DOWN:
        return Decision.DOWN
    if error.retriable() or code in _AGAIN:
        return Decision.AGAIN
    return Decision.FATAL


def passes(error: BaseException) -> bool:
    """Whether a call outside a transaction is worth making again."""
    return isinstance(error, KafkaException) and decide(error.args[0]) in {Decision.AGAIN, Decision.DOWN}


def describe(error: KafkaError) -> str:
    """Name and text of an error, for people."""
    return f"{error.name()}: {error.str()}"


def fatal(what: str, error: KafkaError) -> FatalError:
    """The exception that ends the process."""
    kind = FencedError if decide(error) is Decision.FENCED else FatalError
    return kind(f"{what}: {describe(error)}")
