"""Where outcomes are written, as ``TransactionalSink`` and ``IdempotentSink`` do it, over the broker in memory."""

from collections.abc import Callable, Sequence
from functools import partial

from streamproc.errors import AbortedError, DependencyDownError, Fatal, FatalError, FencedError
from streamproc.records.record import CommitOffset, OutputRecord
from streamproc.testing.broker.broker import MemoryBroker
from streamproc.testing.broker.errors import BrokerUnavailable, Refusal, RefusedError
from streamproc.testing.broker.transactions import Fence
from streamproc.testing.broker.values import GroupMetadata

_AGAIN_S = 0.2
"""Between calls that fail."""


class _Calls:
    """Calls that are made again until a time is over."""

    def __init__(self, broker: MemoryBroker, sleep: Callable[[float], None], point: Callable[[str], None]) -> None:
        self.broker = broker
        self.sleep = sleep
        self.point = point

    def until(self, end: float, name: str, call: Callable[[], object]) -> None:
        """Make a call. Raises BrokerUnavailable when none was answered until ``end``, and RefusedError."""
        while True:
            try:
                self.point(name)
                call()
            except BrokerUnavailable:
                if self.broker.act() >= end:
                    raise
                self.sleep(_AGAIN_S)
            else:
                return


class BrokerSink:
    """Outputs and offsets become visible together, or not at all.

    ``point`` is called with ``begin``, ``produce``, ``offsets``, ``commit`` (before the broker acts), ``committed``
    (before its answer arrives) and ``abort``. BrokerUnavailable raised there cuts off that one call, which is made
    again within the transaction's time; at ``committed`` it means that no answer comes within that time.
    """

    def __init__(
        self,
        broker: MemoryBroker,
        transactional_id: str,
        *,
        transaction_timeout_s: float,
        sleep: Callable[[float], None],
        point: Callable[[str], None],
    ) -> None:
        self._broker = broker
        self._id = transactional_id
        self._timeout_s = transaction_timeout_s
        self._calls = _Calls(broker, sleep, point)
        self._epoch = -1

    @property
    def fence(self) -> Fence | None:
        """Why the broker takes nothing from this producer any more, as the broker knows it; None when it does."""
        return self._broker.fence(self._id, self._epoch)

    def open(self) -> None:
        """Fence our predecessor, which aborts what it left open. Raises DependencyDownError."""
        end = self._broker.act() + self._timeout_s
        while True:
            try:
                self._epoch = self._broker.init_transactions(self._id, self._timeout_s)
            except BrokerUnavailable as error:
                if self._broker.act() >= end:
                    raise DependencyDownError("kafka", str(error)) from error
                self._calls.sleep(_AGAIN_S)
            else:
                return

    def commit(self, outputs: Sequence[OutputRecord], offsets: Sequence[CommitOffset], group_metadata: object) -> None:
        """Make outputs and offsets visible together; returns only when they are.

        Raises AbortedError when nothing of it became visible and it may be tried again, FatalError when its fate is
        unknown or this producer was fenced.
        """
        end = self._broker.act() + self._timeout_s
        self._calls.point("begin")
        try:
            for output in outputs:
                self._calls.until(end, "produce", partial(self._produce, output))
            self._calls.until(end, "offsets", partial(self._send, offsets, _member(group_metadata)))
        except (RefusedError, BrokerUnavailable) as error:
            raise self._aborted(error) from error
        try:
            self._calls.until(end, "commit", partial(self._end, commit=True))
        except RefusedError as error:
            raise FencedError(f"the transaction was not committed: {error}") from error
        except BrokerUnavailable as error:
            raise self._unknown(error) from error
        try:
            self._calls.point("committed")
        except BrokerUnavailable as error:
            self._calls.sleep(max(0.0, end - self._broker.act()))
            raise self._unknown(error) from error

    def close(self) -> None:
        """Flush nothing, drop the connection; what is open is left to whoever opens this id next."""

    def _produce(self, output: OutputRecord) -> None:
        where = self._broker.choose(output.topic, output.key)
        self._broker.produce(self._id, self._epoch, output.topic, where, output.key, output.value, output.headers)

    def _send(self, offsets: Sequence[CommitOffset], member: GroupMetadata) -> None:
        self._broker.send_offsets(self._id, self._epoch, member, offsets)

    def _end(self, *, commit: bool) -> None:
        self._broker.end_transaction(self._id, self._epoch, commit=commit)

    def _aborted(self, cause: RefusedError | BrokerUnavailable) -> AbortedError | FatalError:
        """Abort before the end was asked for; what to raise."""
        if isinstance(cause, RefusedError) and cause.refusal is Refusal.PRODUCER_FENCED:
            return FencedError(f"the transaction failed beyond repair: {cause}")
        try:
            self._calls.until(self._broker.act() + self._timeout_s, "abort", partial(self._end, commit=False))
        except RefusedError as error:
            return FencedError(f"the transaction could not be aborted after {cause}: {error}")
        except BrokerUnavailable as error:
            return FatalError(f"the transaction could not be aborted after {cause}: {error}", Fatal.FATE_UNKNOWN)
        if isinstance(cause, RefusedError) and cause.refusal is Refusal.MESSAGE_TOO_LARGE:
            return FatalError(f"an outcome is larger than its topic takes: {cause}", Fatal.OUTCOME_REFUSED)
        return AbortedError(str(cause), waited=isinstance(cause, BrokerUnavailable))

    def _unknown(self, error: BrokerUnavailable) -> FatalError:
        message = f"a commit of unknown fate, no answer in {self._timeout_s:g} s: {error}"
        return FatalError(message, Fatal.FATE_UNKNOWN)


class BrokerPlainSink:
    """Outputs first, then offsets, through ``commit_offsets`` of the source."""

    def __init__(
        self,
        broker: MemoryBroker,
        commit_offsets: Callable[[Sequence[CommitOffset], GroupMetadata], None],
        sleep: Callable[[float], None],
        point: Callable[[str], None],
        timeout_s: float = 30,
    ) -> None:
        self._broker = broker
        self._commit_offsets = commit_offsets
        self._timeout_s = timeout_s
        self._calls = _Calls(broker, sleep, point)

    def open(self) -> None:
        """Find a broker. Raises DependencyDownError when none answers."""
        end = self._broker.act() + self._timeout_s
        while self._broker.down:
            if self._broker.act() >= end:
                raise DependencyDownError("kafka", "no broker answers")
            self._calls.sleep(_AGAIN_S)

    def commit(self, outputs: Sequence[OutputRecord], offsets: Sequence[CommitOffset], group_metadata: object) -> None:
        """Write outputs, then offsets. Raises AbortedError when it is to be done again."""
        end = self._broker.act() + self._timeout_s
        try:
            for output in outputs:
                self._calls.until(end, "produce", partial(self._produce, output))
            self._calls.point("offsets")
            self._commit_offsets(offsets, _member(group_metadata))
            self._calls.point("committed")
        except RefusedError as error:
            if error.refusal is Refusal.MESSAGE_TOO_LARGE:
                raise FatalError(
                    f"an outcome is larger than its topic takes: {error}", Fatal.OUTCOME_REFUSED
                ) from error
            raise AbortedError(str(error)) from error
        except BrokerUnavailable as error:
            raise AbortedError(str(error), waited=True) from error

    def close(self) -> None:
        """Flush nothing, drop the connection."""

    def _produce(self, output: OutputRecord) -> None:
        where = self._broker.choose(output.topic, output.key)
        self._broker.append(output.topic, where, output.key, output.value, output.headers)


def _member(metadata: object) -> GroupMetadata:
    if not isinstance(metadata, GroupMetadata):
        raise TypeError(f"not an identity of this broker's groups: {metadata!r}")
    return metadata
