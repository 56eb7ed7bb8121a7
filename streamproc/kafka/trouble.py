"""What a consumer complains of: what passes, and what is beyond repair."""

from confluent_kafka import Consumer, KafkaError, KafkaException

from streamproc.errors import Fatal, FatalError
from streamproc.kafka.errors import Decision, decide, describe, is_fatal
from streamproc.telemetry.log import get_log

_log = get_log(__name__)
_PROBE_S = 0.5


class Trouble:
    """Said once when it begins, and once when it is over."""

    def __init__(self) -> None:
        self._error: KafkaError | None = None
        self._fatal: KafkaError | None = None

    @property
    def detail(self) -> str | None:
        """What keeps records from coming just now, as far as the client says; None when nothing does."""
        return None if self._error is None else describe(self._error)

    def tell(self, error: KafkaError) -> None:
        """Note what the client reports. Raises nothing: it reports inside of calls that have other work to do."""
        if is_fatal(error):
            self._fatal = error
        else:
            self.note(error)

    def note(self, error: KafkaError) -> None:
        """Note what passes."""
        if self._error is None:
            _log.warning("source in trouble", dependency="kafka", detail=describe(error))
        self._error = error

    def check(self) -> None:
        """Raise FatalError when the client has reported that it is beyond repair."""
        if self._fatal is not None:
            raise FatalError(f"the consumer cannot go on: {describe(self._fatal)}", Fatal.REFUSED)

    def look_up(self, consumer: Consumer, *, some_came: bool, timeout_s: float) -> None:
        """Find out that trouble is over: the client says when brokers go away, not when they are back."""
        if self._error is None:
            return
        if not some_came:
            if decide(self._error) is not Decision.DOWN:
                return
            try:
                consumer.list_topics(timeout=min(timeout_s, _PROBE_S))
            except KafkaException:
                return  # the trouble that is noted already goes on
        _log.info("source out of trouble", dependency="kafka")
        self._error = None
