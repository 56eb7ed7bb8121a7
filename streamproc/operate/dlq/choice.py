"""Which dead letters are meant."""

from dataclasses import dataclass

from streamproc.operate.dlq.letter import Letter
from streamproc.operate.place import Place
from streamproc.records.record import TopicPartition


@dataclass(frozen=True, slots=True)
class Choice:
    """All conditions that are given have to hold."""

    since_ms: int = 0
    """Given up at this time or later, in ms since the epoch."""
    reason: str | None = None
    stage: str | None = None
    key: str | None = None
    origin: Place | None = None
    open: bool = False
    """Only those that were not put back."""

    def takes(self, letter: Letter) -> bool:
        """Whether a letter is one of them."""
        told = letter.told
        return (
            told.at_ms >= self.since_ms
            and not (self.open and letter.put_back_ms is not None)
            and self.reason in {None, told.reason}
            and self.stage in {None, told.stage}
            and self.key in {None, told.key}
            and self.origin in {None, Place(TopicPartition(told.topic, told.partition), told.offset)}
        )
