"""Finding where the original of a dead letter was put back to."""

from streamproc.kafka.log import Log
from streamproc.kafka.messages import whole
from streamproc.operate.dlq.back import read_back
from streamproc.operate.dlq.letter import replay_of
from streamproc.operate.foreign import Foreign
from streamproc.operate.place import Place
from streamproc.operate.why.life import PutBack
from streamproc.records.record import TopicPartition
from streamproc.settings import OVERDUE_S, Settings

_CLOCK_MS = 1_000
"""How far a clock may have been set back between an original and the note of its replay."""


class AgainSearch:
    """Used by one thread."""

    def __init__(self, settings: Settings, log: Log) -> None:
        self._log = log
        self._topics = settings.topics
        self._span_ms = round(1000 * (settings.kafka.transaction_timeout_s + OVERDUE_S))

    def find(self, letter: Place, partition: int) -> PutBack | None:
        """What became of a letter that began on ``partition`` of the input; None when it was not put back."""
        at_ms = read_back(self._log, self._topics, Foreign()).when(letter.partition, letter.offset)
        if at_ms is None:
            return None
        partitions = self._log.partitions(self._topics.recordings)
        # Elsewhere only after somebody changed the number of partitions.
        for one in sorted(partitions, key=lambda place: place.partition != partition):
            if (place := self._find(str(letter), one, at_ms)) is not None:
                return PutBack(at_ms, place)
        return PutBack(at_ms, None)

    def _find(self, letter: str, partition: TopicPartition, at_ms: int) -> Place | None:
        """Originals are written in the transaction of their note, before it."""
        first = self._log.at([partition], at_ms - self._span_ms)[partition]
        end = self._log.at([partition], at_ms + _CLOCK_MS)[partition]
        for some in self._log.read({partition: range(first, end)}, whole):
            for record in some:
                if replay_of(record.headers) == letter:
                    return Place(partition, record.offset)
        return None
