"""The exception tree, and the one table from a cause to what it means.

::

    StreamprocError
    ├── UsageError            wrong use or impossible settings            exit code 2
    ├── DependencyDownError   a server we need does not answer            exit code 3; the worker waits
    │   └── DependencyRefusesError  it answers, and does not do what is asked of it: busy, starting, another server
    ├── RecordError           about one record: ``reason``, ``stage``
    │   ├── PoisonError       will never succeed                          -> dead letter
    │   └── TransientError    may succeed later                           -> lane
    ├── StoreError            the object store's answer, with its ``cause``
    ├── TierError             a tier cannot be used just now; work goes on without it
    ├── UnresolvedError       a value's schema has to be asked for before the value can be read
    ├── AbortedError          a transaction was aborted; its outcomes are produced again
    └── FatalError            the process must end and be started again   exit code 4
        ├── FencedError       somebody else took this producer's place; the runtime counts these
        └── NoRestartError    starting again would not help               exit code 5

Exceptions are named by the decision they force, and carry fields rather than formatted text.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType


class ExitCode(IntEnum):
    """What the process tells its supervisor."""

    DONE = 0
    OTHER = 1
    USAGE = 2
    DEPENDENCY_DOWN = 3
    FATAL = 4
    NO_RESTART = 5


class Stage(StrEnum):
    """Where in the life of a record something happened, in the order of that life."""

    ADMIT = "admit"
    FETCH = "fetch"
    LOOKUP = "lookup"
    PREPARE = "prepare"
    INFER = "infer"
    ASSEMBLE = "assemble"
    COMMIT = "commit"


class Reason(StrEnum):
    """Why a record became a dead letter or went to a lane. A closed list: dashboards and runbook key on it."""

    AVRO_INVALID = "avro_invalid"
    SCHEMA_UNKNOWN = "schema_unknown"
    EVENT_INVALID = "event_invalid"
    HEADERS_TOO_LARGE = "headers_too_large"
    BUCKET_FORBIDDEN = "bucket_forbidden"
    KEY_INVALID = "key_invalid"
    OBJECT_MISSING = "object_missing"
    OBJECT_EMPTY = "object_empty"
    OBJECT_TOO_LARGE = "object_too_large"
    HASH_MISMATCH = "hash_mismatch"
    LENGTH_MISMATCH = "length_mismatch"
    ACCESS_DENIED = "access_denied"
    STORE_UNAVAILABLE = "store_unavailable"
    FORMAT_UNSUPPORTED = "format_unsupported"
    DECODE_FAILED = "decode_failed"
    AUDIO_TOO_LONG = "audio_too_long"
    AUDIO_LIMITS = "audio_limits"
    MODEL_FAILED = "model_failed"
    KILLED_WORKER = "killed_worker"
    RETRIES_EXHAUSTED = "retries_exhausted"


class Cause(StrEnum):
    """What the object store answered, in words that hold for every store."""

    MISSING = "missing"
    DENIED = "denied"
    CHANGED = "changed"
    EMPTY = "empty"
    TOO_LARGE = "too_large"
    INVALID_NAME = "invalid_name"
    SERVER_ERROR = "server_error"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    SHORT_BODY = "short_body"


class Fatal(StrEnum):
    """Why a process ended that could not go on truthfully. A closed list: alerts and the simulator key on it."""

    FENCED = "fenced"
    """Another producer has our transactional id, or the broker gave our transaction up."""
    FATE_UNKNOWN = "fate_unknown"
    """The end of a transaction was asked for, and no answer came."""
    REFUSED = "refused"
    """A server refuses what it would refuse again: rights, a schema or checkpoint that does not fit."""
    OUTCOME_REFUSED = "outcome_refused"
    """A server refuses one outcome for what it is, whoever writes it: its size or its form."""
    ABORTED_AGAIN = "aborted_again"
    """One transaction was aborted more often than ``flow.produce_again`` allows."""
    CLIENT_STUCK = "client_stuck"
    """The Kafka client did not answer within all its time-outs."""
    OFFSET_GONE = "offset_gone"
    """The offset to go on from is not there: records were deleted before they were read."""
    START_UNKNOWN = "start_unknown"
    """Nobody said in time where a partition is to be read from, or it was not taken."""
    DECODERS_FAIL = "decoders_fail"
    """Decoder children end before they can work."""
    DEVICE_FAILS = "device_fails"
    """The device process dies too often, or says itself that it cannot go on."""
    DEVICE_KILLED = "device_killed"
    """It dies too often with segments on it: theirs or its own doing, which nobody can tell from here."""
    MODEL_CHANGED = "model_changed"
    """The device came back with another network."""
    STUCK = "stuck"
    """A thread was at one thing for longer than that can honestly take."""
    UNFORESEEN = "unforeseen"
    """What no code expected: a mistake of ours."""


class Verdict(StrEnum):
    """What a cause means for its record, before the age of the record and the canary are looked at."""

    POISON = "poison"
    POISON_WHEN_OLD = "poison_when_old"
    """An object may be announced a moment before it is there."""
    POISON_UNLESS_DOWN = "poison_unless_down"
    """A refusal may be a broken credential, which is no record's fault: the canary tells."""
    TRANSIENT = "transient"


STORE_CAUSES: Mapping[Cause, tuple[Verdict, Reason]] = MappingProxyType(
    {
        Cause.MISSING: (Verdict.POISON_WHEN_OLD, Reason.OBJECT_MISSING),
        Cause.DENIED: (Verdict.POISON_UNLESS_DOWN, Reason.ACCESS_DENIED),
        Cause.CHANGED: (Verdict.POISON, Reason.HASH_MISMATCH),
        Cause.EMPTY: (Verdict.POISON, Reason.OBJECT_EMPTY),
        Cause.TOO_LARGE: (Verdict.POISON, Reason.OBJECT_TOO_LARGE),
        Cause.INVALID_NAME: (Verdict.POISON, Reason.KEY_INVALID),
        Cause.SERVER_ERROR: (Verdict.TRANSIENT, Reason.STORE_UNAVAILABLE),
        Cause.TIMEOUT: (Verdict.TRANSIENT, Reason.STORE_UNAVAILABLE),
        Cause.CONNECTION: (Verdict.TRANSIENT, Reason.STORE_UNAVAILABLE),
        Cause.SHORT_BODY: (Verdict.TRANSIENT, Reason.STORE_UNAVAILABLE),
    },
)


class StreamprocError(Exception):
    """Base of everything raised on purpose."""

    exit_code = ExitCode.OTHER


class UsageError(StreamprocError):
    """Raised when the caller or the settings ask for something impossible. The text says what to do."""

    exit_code = ExitCode.USAGE


class DependencyDownError(StreamprocError):
    """Raised when a server that is needed does not answer."""

    exit_code = ExitCode.DEPENDENCY_DOWN

    says = "does not answer"

    def __init__(self, dependency: str, detail: str) -> None:
        super().__init__(f"{dependency} {self.says}: {detail}")
        self.dependency = dependency
        self.detail = detail


class DependencyRefusesError(DependencyDownError):
    """Raised when a server that is needed answers, and does not do what is asked: it is busy, or another one."""

    says = "answers, and refuses"


class RecordError(StreamprocError):
    """Raised about one record; its neighbours are not concerned."""

    def __init__(self, reason: Reason, stage: Stage, message: str) -> None:
        super().__init__(f"{stage}: {reason}: {message}")
        self.reason = reason
        self.stage = stage
        self.message = message


class PoisonError(RecordError):
    """Raised when a record will never succeed: it becomes a dead letter."""


class TransientError(RecordError):
    """Raised when a record may succeed later: it goes to a lane."""


class StoreError(StreamprocError):
    """Raised by the object store; the stage that asked decides what it means."""

    def __init__(self, cause: Cause, detail: str) -> None:
        super().__init__(f"{cause}: {detail}")
        self.cause = cause
        self.detail = detail


class TierError(StreamprocError):
    """Raised by a tier that cannot be used just now. Nothing depends on it but the work that it would have saved."""


class TierRefusesError(TierError):
    """Raised when a tier answers, and does not do what is asked until somebody mends it: a right, a disk, a role."""


class UnresolvedError(StreamprocError):
    """Raised when a value's schema was never asked for, or what was learned of it is forgotten again."""


class AbortedError(StreamprocError):
    """Raised when a transaction was aborted cleanly: nothing of it is visible, it may be produced again.

    ``waited`` when the broker was away or too slow: then trying again is no use of patience, it is waiting.
    """

    def __init__(self, message: str, *, waited: bool = False) -> None:
        super().__init__(message)
        self.waited = waited


class FatalError(StreamprocError):
    """Raised when this process cannot go on truthfully; its supervisor starts it again."""

    exit_code = ExitCode.FATAL

    def __init__(self, message: str, cause: Fatal = Fatal.UNFORESEEN) -> None:
        super().__init__(message)
        self.cause = cause


class FencedError(FatalError):
    """Raised when another producer took our transactional id, or the broker gave our transaction up."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Fatal.FENCED)


class NoRestartError(FatalError):
    """Raised when starting again would only repeat the failure (fenced twice, wrong checkpoint)."""

    exit_code = ExitCode.NO_RESTART
