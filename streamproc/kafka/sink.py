"""Where outcomes are written: in one transaction with their offsets, or at least once."""

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import ParamSpec

from confluent_kafka import KafkaError, KafkaException, Producer

from streamproc.errors import AbortedError, Fatal, FatalError
from streamproc.kafka.config import ClientConfig, build, producer_config, transactional_config
from streamproc.kafka.errors import AFTERMATH, Decision, away, decide, describe, fatal, waited
from streamproc.kafka.membership import Membership, known
from streamproc.kafka.outbox import Deadline, Outbox
from streamproc.kafka.positions import to_positions
from streamproc.kafka.skew import Skew
from streamproc.records.record import CommitOffset, OutputRecord
from streamproc.settings import Settings
from streamproc.telemetry.log import get_log

P = ParamSpec("P")

_log = get_log(__name__)
_OPEN_CALL_S = 5.0
_BACKOFF_S = 0.2
"""Between calls that fail at once; those that time out have waited already."""
_REFUSED: Mapping[int, str] = MappingProxyType(
    {
        KafkaError.MSG_SIZE_TOO_LARGE: "an outcome is larger than its topic takes",
        KafkaError.TOPIC_AUTHORIZATION_FAILED: "an outcome may not be written to its topic",
        KafkaError.GROUP_AUTHORIZATION_FAILED: "the group's offsets may not be committed",
    }
)
_PASSING = frozenset({Decision.AGAIN, Decision.DOWN})


class TransactionalSink:
    """Outputs and offsets become visible together, or not at all. Only the commit thread calls it."""

    def __init__(
        self,
        settings: Settings,
        slot: int | str,
        clock: Callable[[], float] = time.monotonic,
        skew: Skew | None = None,
    ) -> None:
        self._skew = skew
        self._servers = settings.kafka.bootstrap_servers
        self._timeout_s = settings.kafka.transaction_timeout_s
        self._clock = clock
        self._voice = _Voice()
        config = transactional_config(settings, slot)
        self._ident = config["transactional.id"]
        self._producer = _producer(config, self._voice)

    def open(self) -> None:
        """Fence our predecessor, which aborts what it left open.

        Raises FatalError; DependencyDownError when no broker answered for as long as a transaction may take.
        """
        deadline = Deadline(self._timeout_s, self._clock)
        while True:
            error = _failure(self._producer.init_transactions, min(_OPEN_CALL_S, max(deadline.left(), _BACKOFF_S)))
            if error is None:
                return
            if decide(error) not in _PASSING:
                raise fatal(f"the transactional id {self._ident} cannot be taken", error)
            if not deadline.left():
                raise away(self._servers, describe(error))
            self._producer.poll(_BACKOFF_S)

    def commit(self, outputs: Sequence[OutputRecord], offsets: Sequence[CommitOffset], group_metadata: object) -> None:
        """Make outputs and offsets visible together; returns only when they are.

        Raises AbortedError when nothing of it became visible and it may be tried again, FatalError when its fate is
        unknown or this producer was fenced.
        """
        metadata = known(group_metadata).metadata
        deadline = Deadline(self._timeout_s, self._clock)
        error = _failure(self._producer.begin_transaction)
        if error is not None:
            raise fatal("no transaction can be begun", error)

        def send_offsets(left: float) -> None:
            self._producer.send_offsets_to_transaction(to_positions(offsets), metadata, left)

        outbox = Outbox(self._producer, deadline, self._skew)
        error = (
            _failure(outbox.hand_over, outputs)
            # While the outputs are on their way: each of both takes two round trips.
            or self._until(deadline, send_offsets)
            or _failure(outbox.wait)
        )
        if error is not None:
            raise self._aborted(self._cause(error, send_offsets))
        error = self._until(deadline, self._producer.commit_transaction)
        if error is not None:
            raise self._uncommitted(error)
        self._voice.worked()

    def close(self) -> None:
        """Flush nothing, drop the connection; an open transaction is left to whoever opens this slot next."""
        self._producer.purge()

    def _cause(self, error: KafkaError, ask: Callable[[float], None]) -> KafkaError:
        """Why a transaction failed: what was on its way, or came after, only says that it did, the next call why."""
        return (error.code() in AFTERMATH and _failure(ask, _BACKOFF_S)) or error

    def _until(self, deadline: Deadline, call: Callable[[float], None]) -> KafkaError | None:
        """Make a call until it answers: librdkafka takes it up where the last one timed out. What it fails with."""
        while True:
            error = _failure(call, max(deadline.left(), _BACKOFF_S))
            if error is None or decide(error) not in _PASSING or not deadline.left():
                return error
            _log.warning("transaction call again", dependency="kafka", detail=describe(error))
            self._producer.poll(_BACKOFF_S)

    def _aborted(self, cause: KafkaError) -> AbortedError | FatalError:
        """Abort before the end was asked for; what to raise."""
        if cause.fatal() or decide(cause) is Decision.FENCED:
            return fatal("the transaction failed beyond repair", cause)
        error = self._until(Deadline(self._timeout_s, self._clock), self._producer.abort_transaction)
        if error is not None:
            return fatal(f"the transaction could not be aborted after {describe(cause)}", error)
        if decide(cause) is Decision.FATAL:
            return fatal(_REFUSED.get(cause.code(), "the transaction was aborted, and would be again"), cause)
        return AbortedError(describe(cause), waited=waited(cause))

    def _uncommitted(self, cause: KafkaError) -> AbortedError | FatalError:
        """What a commit that did not succeed amounts to."""
        if cause.txn_requires_abort():
            return self._aborted(cause)
        if decide(cause) in _PASSING:
            message = f"a commit of unknown fate, no answer in {self._timeout_s:g} s: {describe(cause)}"
            return FatalError(message, Fatal.FATE_UNKNOWN)
        return fatal("the transaction was not committed", cause)


class IdempotentSink:
    """Outputs first, then offsets: nothing is lost, and a crash in between writes outputs again.

    ``commit_offsets`` commits through the consumer; it may raise KafkaException.
    """

    def __init__(
        self,
        settings: Settings,
        commit_offsets: Callable[[Sequence[CommitOffset], Membership], None],
        clock: Callable[[], float] = time.monotonic,
        skew: Skew | None = None,
    ) -> None:
        self._skew = skew
        self._servers = settings.kafka.bootstrap_servers
        self._timeout_s = settings.kafka.transaction_timeout_s
        self._clock = clock
        self._commit_offsets = commit_offsets
        self._voice = _Voice()
        self._producer = _producer(producer_config(settings), self._voice)

    def open(self) -> None:
        """Find a broker. Raises DependencyDownError when none answers."""
        try:
            self._producer.list_topics(timeout=self._timeout_s)
        except KafkaException as raised:
            raise away(self._servers, describe(raised.args[0])) from raised

    def commit(self, outputs: Sequence[OutputRecord], offsets: Sequence[CommitOffset], group_metadata: object) -> None:
        """Write outputs, then offsets.

        Raises AbortedError when it is to be done again (some outputs may then be there twice), FatalError when this
        producer cannot go on.
        """
        try:
            outbox = Outbox(self._producer, Deadline(self._timeout_s, self._clock), self._skew)
            outbox.hand_over(outputs)
            outbox.wait()
            self._commit_offsets(offsets, known(group_metadata))
        except KafkaException as raised:
            error: KafkaError = raised.args[0]
            if decide(error) in {Decision.FATAL, Decision.FENCED}:
                raise fatal(_REFUSED.get(error.code(), "the producer cannot go on"), error) from raised
            self._producer.purge(in_flight=False)  # what is on its way cannot be called back
            raise AbortedError(describe(error), waited=waited(error)) from raised
        self._voice.worked()

    def close(self) -> None:
        """Flush nothing, drop the connection."""
        self._producer.purge()


class _Voice:
    """Says that a broker is away once, and once that it is back: the client reports each of its tries."""

    def __init__(self) -> None:
        self._troubled = False

    def trouble(self, error: KafkaError) -> None:
        """Note what the client reports. What matters of it comes back from the call that it spoiled."""
        if not self._troubled:
            self._troubled = True
            _log.warning("sink in trouble", dependency="kafka", detail=describe(error))

    def worked(self) -> None:
        """Note that something was written."""
        if self._troubled:
            self._troubled = False
            _log.info("sink out of trouble", dependency="kafka")


def _failure(call: Callable[P, object], *args: P.args, **named: P.kwargs) -> KafkaError | None:
    """What a call fails with, if it does.

    So the next call is made with no exception at hand. An error that the client raises while one is handled never lets
    go of it, nor of what its frames hold: a whole micro-batch (confluent-kafka 2.16, whose KafkaError is not cleared).
    """
    try:
        call(*args, **named)
    except KafkaException as raised:
        error: KafkaError = raised.args[0]
        return error
    return None


def _producer(config: ClientConfig, voice: _Voice) -> Producer:
    config["error_cb"] = voice.trouble
    return build(Producer, config)
