"""Dead letters of a partition, by hand."""

from streamproc.errors import PoisonError, Reason, Stage
from streamproc.operate.dead_letter import read_dead_letter
from streamproc.operate.dlq.letter import Letter
from streamproc.records.lane import Attempt, failure_headers
from streamproc.records.record import Record


def dead(offset: int, partition: int = 0, at_ms: int = 99, key: bytes = b"k") -> Record:
    """A dead letter of a tombstone."""
    headers = failure_headers(Attempt("in", 0, offset, 1, 7), PoisonError(Reason.OBJECT_MISSING, Stage.FETCH, "no"))
    return Record("in.dlq", partition, offset, at_ms, key, None, headers)


def letter(offset: int, partition: int = 0, at_ms: int = 99) -> Letter:
    """The same, read."""
    record = dead(offset, partition, at_ms)
    told = read_dead_letter(record, None)
    assert told is not None
    return Letter(record, told, None)
