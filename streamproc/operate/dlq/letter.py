"""One dead letter with the record that it began as."""

from dataclasses import dataclass

from streamproc.kafka.messages import UNREADABLE_HEADERS
from streamproc.operate.dead_letter import DeadLetter, read_dead_letter
from streamproc.operate.originals import Originals
from streamproc.operate.place import Place
from streamproc.records.dead_letter import URI_HEADER
from streamproc.records.record import Headers, Record
from streamproc.records.recording import RecordingEvent

REPLAYS_HEADER = "sp-replays"
"""How often a record was put back."""
REPLAY_OF_HEADER = "sp-replay-of"
"""Which dead letter it was last: the place of that. No other header of ours is on the input topic."""
_OURS = frozenset({REPLAYS_HEADER, REPLAY_OF_HEADER})
_FIRST_OF_OURS = "sp-origin-topic"
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Letter:
    """A record of the dead-letter topic. ``event`` is None where the original cannot be read."""

    record: Record
    told: DeadLetter
    event: RecordingEvent | None
    put_back_ms: int | None = None
    """When its original was put back, in ms since the epoch; None while it is open."""

    @property
    def place(self) -> Place:
        """Where the dead letter stands."""
        return Place(self.record.source, self.record.offset)

    @property
    def uri(self) -> str | None:
        """Where the original is stored, when it was too large for the topic."""
        found = self.record.header(URI_HEADER)
        return None if found is None else found.decode("utf-8", "replace")

    @property
    def headers(self) -> Headers:
        """The original's own: ours are behind them, from the last ``sp-origin-topic`` on."""
        names = [name for name, _ in self.record.headers]
        ours = len(names) - 1 - names[::-1].index(_FIRST_OF_OURS)
        return self.record.headers[:ours]

    @property
    def readable(self) -> bool:
        """Whether the original's headers could be kept: the client drops names that are not UTF-8."""
        return all(name != UNREADABLE_HEADERS for name, _ in self.headers)

    @property
    def replays(self) -> int:
        """How often it was put back before."""
        return replays_of(self.headers)


def read_letter(record: Record, originals: Originals, put_back_ms: int | None) -> Letter | None:
    """Take a dead letter apart; None for a record that no worker of ours gave up."""
    event = originals.read(record.value)
    told = read_dead_letter(record, event)
    return None if told is None else Letter(record, told, event, put_back_ms)


def replays_of(headers: Headers) -> int:
    """The count in a record's headers; 0 without one, or with something else in its place."""
    counts = [value for name, value in headers if name == REPLAYS_HEADER]
    value = counts[-1] if counts else None
    return int(value) if value is not None and value.isdigit() and len(value) <= _DIGITS else 0


def replay_of(headers: Headers) -> str | None:
    """Which dead letter a record on the input topic was, as it says; None where it says nothing."""
    places = [value for name, value in headers if name == REPLAY_OF_HEADER]
    return places[-1].decode("utf-8", "replace") if places and places[-1] is not None else None


def put_back(headers: Headers, letter: Place) -> Headers:
    """The original's headers, then the count one higher, then which letter it was."""
    own = tuple((name, value) for name, value in headers if name not in _OURS)
    count = (REPLAYS_HEADER, b"%d" % (replays_of(headers) + 1))
    return (*own, count, (REPLAY_OF_HEADER, str(letter).encode()))
