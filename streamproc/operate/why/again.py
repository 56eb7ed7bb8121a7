"""Finding where the original of a dead letter was put back to."""

from streamproc.kafka.log import Log
from streamproc.kafka.messages import whole
from streamproc.operate.dlq.back import Went, read_back
from streamproc.operate.dlq.letter import replay_of
from streamproc.operate.dlq.letters import GLANCE_S
from streamproc.operate.foreign import Foreign
from streamproc.operate.place import Place
from streamproc.operate.why.life import PutBack
from streamproc.records.record import TopicPartition
from streamproc.settings import TopicSettings

_CLOCK_MS = 5_000
"""How far who dates the originals, which a broker may do, may be from who dates their note."""


class AgainSearch:
    """Used by one thread."""

    def __init__(self, topics: TopicSettings, log: Log) -> None:
        self._log = log
        self._topics = topics

    def find(self, letter: Place, given_up_ms: int, partition: int) -> PutBack | None:
        """What became of a letter that began on ``partition`` of the input; None when it was not put back."""
        one = {letter.partition: range(letter.offset, letter.offset + 1)}
        back = read_back(self._log, self._topics, Foreign(), one, given_up_ms, GLANCE_S)
        went = back.find(letter.partition, letter.offset, given_up_ms)
        if went is None:
            return None
        partitions = self._log.partitions(self._topics.recordings)
        home = TopicPartition(self._topics.recordings, partition)
        # Elsewhere only after somebody made the input anew with fewer partitions.
        for likely in [home] if home in partitions else partitions:
            if (place := self._find(str(letter), likely, went)) is not None:
                return PutBack(went.at_ms, place)
        return PutBack(went.at_ms, None)

    def _find(self, letter: str, partition: TopicPartition, went: Went) -> Place | None:
        """Originals are written in the transaction of their note, before it."""
        first = self._log.at([partition], went.began_ms - _CLOCK_MS)[partition]
        end = self._log.at([partition], went.at_ms + _CLOCK_MS)[partition]
        for some in self._log.read({partition: range(first, end)}, whole):
            for record in some:
                if replay_of(record.headers) == letter:
                    return Place(partition, record.offset)
        return None
