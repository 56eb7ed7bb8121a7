"""What broker errors mean: one line each, the reason beside it. Codes and names are those of the Kafka protocol.

``GOES_ON``: the call succeeds, librdkafka or we have asked again. ``ABORTED``: nothing is visible, and the same
outcomes are produced again. ``FATAL``: exit code 4. ``FENCED``: exit code 4, and 5 when it happens twice soon
after a start.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType


class End(Enum):
    GOES_ON = "goes on"
    ABORTED = "aborted"
    FATAL = "fatal"
    FENCED = "fenced"


GOES_ON, ABORTED, FATAL, FENCED = End
CODES = (-1, *range(1, 136))
"""Every code of Kafka 4.3, and two that no broker knows."""

ANYWHERE: Mapping[int, tuple[End, str]] = MappingProxyType(
    {
        47: (FENCED, "INVALID_PRODUCER_EPOCH: a newer producer has our transactional id"),
        90: (FENCED, "PRODUCER_FENCED: the same, by its newer name"),
        2: (ABORTED, "CORRUPT_MESSAGE: damaged on the way"),
        3: (ABORTED, "UNKNOWN_TOPIC_OR_PARTITION: a broker that has not heard of it yet"),
        5: (ABORTED, "LEADER_NOT_AVAILABLE: brokers are changing"),
        6: (ABORTED, "NOT_LEADER_OR_FOLLOWER: brokers are changing"),
        7: (ABORTED, "REQUEST_TIMED_OUT: brokers are too slow"),
        8: (ABORTED, "BROKER_NOT_AVAILABLE: brokers are changing"),
        9: (ABORTED, "REPLICA_NOT_AVAILABLE: brokers are changing"),
        13: (ABORTED, "NETWORK_EXCEPTION: a connection between brokers broke"),
        14: (ABORTED, "COORDINATOR_LOAD_IN_PROGRESS: brokers are changing"),
        15: (ABORTED, "COORDINATOR_NOT_AVAILABLE: brokers are changing"),
        16: (ABORTED, "NOT_COORDINATOR: brokers are changing"),
        19: (ABORTED, "NOT_ENOUGH_REPLICAS: brokers are away"),
        20: (ABORTED, "NOT_ENOUGH_REPLICAS_AFTER_APPEND: brokers are away"),
        22: (ABORTED, "ILLEGAL_GENERATION: the group moved on; what is still ours is committed again"),
        25: (ABORTED, "UNKNOWN_MEMBER_ID: the group went on without us"),
        27: (ABORTED, "REBALANCE_IN_PROGRESS: the group is moving on"),
        45: (ABORTED, "OUT_OF_ORDER_SEQUENCE_NUMBER: a record before this one was refused; a new epoch begins"),
        49: (ABORTED, "INVALID_PRODUCER_ID_MAPPING: the broker has forgotten us; librdkafka asks for a new id"),
        51: (ABORTED, "CONCURRENT_TRANSACTIONS: the last one is not quite finished"),
        52: (ABORTED, "TRANSACTION_COORDINATOR_FENCED: brokers are changing"),
        55: (ABORTED, "OPERATION_NOT_ATTEMPTED: another partition of the request was at fault"),
        56: (ABORTED, "KAFKA_STORAGE_ERROR: a disk failed; another broker leads soon"),
        59: (ABORTED, "UNKNOWN_PRODUCER_ID: the broker has forgotten us; librdkafka asks for a new id"),
        74: (ABORTED, "FENCED_LEADER_EPOCH: brokers are changing"),
        75: (ABORTED, "UNKNOWN_LEADER_EPOCH: brokers are changing"),
        78: (ABORTED, "OFFSET_NOT_AVAILABLE: brokers are changing"),
        82: (ABORTED, "FENCED_INSTANCE_ID: the group went on without us"),
        88: (ABORTED, "UNSTABLE_OFFSET_COMMIT: somebody's transaction is open over these offsets"),
        89: (ABORTED, "THROTTLING_QUOTA_EXCEEDED: brokers are too busy"),
        100: (ABORTED, "UNKNOWN_TOPIC_ID: a broker that has not heard of it yet"),
        110: (ABORTED, "FENCED_MEMBER_EPOCH: the group went on without us"),
        113: (ABORTED, "STALE_MEMBER_EPOCH: the group is an epoch ahead of us"),
        120: (ABORTED, "TRANSACTION_ABORTABLE: the broker asks for it"),
    }
)
"""Every other error is FATAL, after an abort where one is possible: permissions, sizes, settings and versions do not
heal by themselves, and an error that nobody has thought about is not tried again."""


@dataclass(frozen=True)
class Api:
    """One kind of request: where its errors mean something else, and why."""

    name: str
    key: int
    ends: Mapping[tuple[int, ...], tuple[End, str]] = field(default_factory=dict)
    default: End | None = None
    """For every code that is not in ``ends``, instead of ANYWHERE."""

    def expect(self, code: int) -> End:
        for codes, (end, _) in self.ends.items():
            if code in codes:
                return end
        return self.default or ANYWHERE.get(code, (FATAL, ""))[0]


AGAIN = "librdkafka asks again by itself"
LOST = "librdkafka counts its state as lost"
REJOINS = "the client joins again by itself"

INIT_PRODUCER_ID = Api(
    "InitProducerId",
    22,
    {
        (47, 90): (FENCED, "a newer producer took the id while we asked for it"),
        (31, 50, 53): (FATAL, "not allowed, or a longer transaction than the broker grants"),
    },
    default=GOES_ON,  # librdkafka asks again until the time is over, whatever the error; then the broker counts as down
)
TRANSACTION = (
    Api("AddPartitionsToTxn", 24, {(3, 14, 15, 16, 51): (GOES_ON, AGAIN)}),
    Api(
        "Produce",
        0,
        {
            (2, 3, 5, 6, 7, 8, 9, 14, 15, 16, 19, 20, 56): (GOES_ON, AGAIN),
            (46,): (GOES_ON, "DUPLICATE_SEQUENCE_NUMBER: it is there already"),
            (45,): (FATAL, "OUT_OF_ORDER_SEQUENCE_NUMBER without a cause: records were lost. " + LOST),
        },
    ),
    Api("AddOffsetsToTxn", 25, {(3, 7, 14, 15, 16, 51): (GOES_ON, AGAIN)}),
    Api("TxnOffsetCommit", 28, {(3, 7, 14, 15, 16, 51): (GOES_ON, AGAIN), (49,): (FATAL, LOST)}),
    Api("EndTxn", 26, {(14, 15, 16, 51): (GOES_ON, AGAIN)}),
)
AT_LEAST_ONCE = Api(
    "Produce without a transaction",
    0,
    {
        (2, 3, 5, 6, 7, 8, 9, 14, 15, 16, 19, 20, 56, 59): (GOES_ON, AGAIN),
        (46,): (GOES_ON, "DUPLICATE_SEQUENCE_NUMBER: it is there already"),
        (45,): (FATAL, "OUT_OF_ORDER_SEQUENCE_NUMBER without a cause: records were lost. " + LOST),
    },
)
FIND_TRANSACTION_COORDINATOR = Api(
    "FindCoordinator of the transactional id", 10, {(14, 15): (GOES_ON, AGAIN), (53,): (FATAL, "not allowed")}
)
FIND_GROUP_COORDINATOR = Api(
    "FindCoordinator of the group, for its offsets",
    10,
    {(14, 15): (GOES_ON, AGAIN), (24, 30, 42): (FATAL, "not allowed, or a name that no group can have")},
)
OFFSET_COMMIT = Api(
    "OffsetCommit, at least once",
    8,
    {
        (3, 7, 14, 15, 16): (GOES_ON, AGAIN),
        (22, 25, 27, 100, 113): (ABORTED, "the group moved on, or the topic did"),
        (12, 24, 28, 29, 30, 69): (FATAL, "not allowed, too large, or no such group"),
    },
)
SOURCE = (
    Api("FindCoordinator", 10, {(14, 15, 24, 30, 42): (GOES_ON, AGAIN)}),
    Api(
        "OffsetFetch",
        9,
        {
            (3, 7, 14, 15, 16, 88, 100): (GOES_ON, "we ask again, for as long as a transaction may be open"),
            (27, 113): (GOES_ON, "the heartbeats bring us up to date; we ask again"),
            (24, 29, 30, 69, 135): (FATAL, "not allowed, no such group, or never heard of: no start is guessed"),
        },
    ),
    Api("Fetch", 1, {(2, 3, 6, 9, 29, 56, 70, 71, 74, 75, 76, 78, 100, 103): (GOES_ON, AGAIN), (1,): (FATAL, "lost")}),
)
CLASSIC = (
    Api("JoinGroup", 11, {(14, 15, 16, 23, 24, 25, 26, 27, 30, 79, 81): (GOES_ON, REJOINS)}),
    Api("SyncGroup", 14, {(14, 15, 16, 22, 23, 24, 25, 27, 30): (GOES_ON, REJOINS)}),
    Api("Heartbeat", 12, {(14, 15, 16, 22, 24, 25, 27, 30): (GOES_ON, REJOINS)}),
)
CONSUMER = (
    Api(
        "ConsumerGroupHeartbeat",
        68,
        {
            (14, 15, 16, 25, 110): (GOES_ON, REJOINS),
            (24, 30, 35, 42, 81, 111, 112, 128, 135): (FATAL, "not allowed, full, or never heard of. " + LOST),
        },
    ),
)
