"""Where one record stands, as people write it: ``TOPIC/PARTITION/OFFSET``."""

import re
from typing import NamedTuple

from streamproc.errors import UsageError
from streamproc.records.record import TopicPartition

_PLACE = re.compile(r"([A-Za-z0-9._-]{1,249})/(\d{1,9})/(\d{1,18})")


class Place(NamedTuple):
    """One offset of one partition."""

    partition: TopicPartition
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}/{self.offset}"


def parse_place(text: str) -> Place:
    """Read a place. Raises UsageError."""
    found = _PLACE.fullmatch(text)
    if found is None:
        raise UsageError(f"{text[:300]!r} is no place: write TOPIC/PARTITION/OFFSET, as in audio.recordings/3/1742")
    return Place(TopicPartition(found[1], int(found[2])), int(found[3]))
