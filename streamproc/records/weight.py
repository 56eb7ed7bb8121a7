"""What an analysis takes in memory, for whatever keeps some and has a limit in bytes."""

from streamproc.records.analysis import Analysis

# What CPython 3.11 to 3.13 on 64 bits takes, rounded up; a test holds the sum against tracemalloc.
_FIXED = 640
"""Bytes for an analysis without labels and segments: itself, its info, key, size and entry in a tier."""
_SEGMENT = 400
"""Bytes for a segment without scores: nine fields, of which six are numbers of their own."""
_SCORE = 32
"""Bytes for one score: a float and its place in the tuple."""
_EMBEDDING = 64
"""Bytes for an embedding besides its numbers: an object and its place in the tuple."""
_LABEL = 72
"""Bytes for one label: a short string and its place in the tuple."""


def weight(analysis: Analysis) -> int:
    """About how many bytes of memory an analysis takes, however its strings are shared with others."""
    per_segment = _SEGMENT + _LABEL + _SCORE * len(analysis.labels)
    embeddings = sum(_EMBEDDING + len(packed) for packed in analysis.embeddings)
    return _FIXED + (_LABEL + _SCORE) * len(analysis.labels) + per_segment * len(analysis.segments) + embeddings
