"""Outcome: what became of one input offset. Exactly one each."""

from enum import StrEnum
from typing import NamedTuple

from streamproc.records.record import OutputRecord


class OutcomeKind(StrEnum):
    """The three ends of an input offset; ``retry`` is followed to one of the others by its origin."""

    RESULT = "result"
    DEAD_LETTER = "dead_letter"
    RETRY = "retry"


class Outcome(NamedTuple):
    """One end, with everything that is to be written for it."""

    kind: OutcomeKind
    outputs: tuple[OutputRecord, ...]
    result_id: str = ""
    reason: str = ""
    audio_ms: int = 0
    """Of the recording that a result is about."""
