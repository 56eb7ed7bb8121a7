"""FinishedSegment: the scores of a stretch of a recording that as a whole is not analysed yet."""

from typing import NamedTuple


class Stretch(NamedTuple):
    """Which audio of a recording: ``channel`` as in SegmentAnalysis, times in ms."""

    channel: int
    start_ms: int
    end_ms: int


class FinishedSegment(NamedTuple):
    """A pure value of the content key it is kept under: that names the bytes, the network and how segments are cut."""

    stretch: Stretch
    scores: tuple[float, ...]
    """In the model's label order."""
    embedding: bytes = b""
    """Packed (``records.embedding``); empty where nobody wants it."""
