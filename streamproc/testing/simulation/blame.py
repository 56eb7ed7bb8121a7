"""Who may be blamed: which ends of owners faults alone brought about, at which offsets."""

import json
from collections import Counter
from collections.abc import Iterable
from enum import Enum, auto

from streamproc.records.record import CommitOffset, TopicPartition
from streamproc.testing.decoders import waveform
from streamproc.testing.simulation.recordings import Announced

_ENDS = 3
"""As decision 12 has it, whatever the program says: so many workers or devices end with one record alone."""
_CHILDREN = 6
"""So many decoders: three in each of two tries, one after the other."""
_CRASHES = 2
"""So many workers end at one offset before records are taken alone at all."""


class _Left(Enum):
    """How a partition was left by its last owner."""

    SILENTLY = auto()
    """Killed, given up by the group, standing still; or it is its owner's still."""
    GIVEN_BACK = auto()
    ENDED = auto()
    """Its owner ended itself, or was ended by a recording."""


class Blame:
    """Counts what can make a good record look like one that kills: faults alone, never what its neighbours kill.

    A worker that ended itself, or gave back what it had, is no fault: it could have told its successor.
    """

    def __init__(self) -> None:
        self.decoders: Counter[bytes] = Counter()
        """Children that a fault ended, by the body that they had."""
        self.devices: Counter[bytes] = Counter()
        """Devices that a fault ended, by the waveform that was alone on them."""
        self._last: dict[TopicPartition, tuple[str, _Left]] = {}
        self._silent: Counter[tuple[TopicPartition, int]] = Counter()
        """Owners that ended without a word, by where the next one began."""
        self._ended: Counter[tuple[TopicPartition, int]] = Counter()
        """Those, and those that could have said a word, or were ended by a recording."""

    def assigned(self, owner: str, starts: Iterable[CommitOffset]) -> None:
        """Somebody owns partitions from here on."""
        for start in starts:
            place = TopicPartition(start.topic, start.partition)
            left = self._last.get(place, (owner, _Left.GIVEN_BACK))[1]
            self._silent[place, start.offset] += left is _Left.SILENTLY
            self._ended[place, start.offset] += left is not _Left.GIVEN_BACK
            self._last[place] = owner, _Left.SILENTLY

    def released(self, owner: str, partitions: Iterable[TopicPartition]) -> None:
        """An owner gave these back."""
        for place in partitions:
            if self._last.get(place) == (owner, _Left.SILENTLY):
                self._last[place] = owner, _Left.GIVEN_BACK

    def ended(self, owner: str) -> None:
        """An owner ended itself, or a recording ended it."""
        mine = [place for place, (last, _) in self._last.items() if last == owner]
        self._last.update((place, (owner, _Left.ENDED)) for place in mine)

    def excuses(self, place: TopicPartition, offset: int, announced: Announced) -> bool:
        """Whether faults alone can have made this record look like one that kills."""
        body = announced.body or b""
        return (
            (self._silent[place, offset] >= _ENDS and self._alone(place, offset))
            or self.decoders[body] >= _CHILDREN
            or any(times >= _ENDS and wave == _wave(body) for wave, times in self.devices.items())
        )

    def _alone(self, place: TopicPartition, offset: int) -> bool:
        """Whether so many ended before that a record at this offset can have been taken alone."""
        before = any(times >= _CRASHES for (where, at), times in self._ended.items() if where == place and at < offset)
        return before or self._ended[place, offset] >= _CRASHES + _ENDS


def _wave(body: bytes) -> bytes:
    """What a device gets of a recording, its first segment; nothing of one that cannot be decoded."""
    try:
        ms = json.loads(body)["ms"]
    except ValueError:
        return b""
    return waveform(body, 0, ms).tobytes()
