"""The timeline of a recording: its segments in one object of the store, for who wants to draw them."""

import json
from dataclasses import fields

from streamproc.records.analysis import Analysis, SegmentAnalysis
from streamproc.records.identity import content_of, object_name
from streamproc.records.stored import NewObject

VERSION = 1
_COLUMNS = tuple(field.name for field in fields(SegmentAnalysis))


def timeline(work_key: str, analysis: Analysis) -> NewObject:
    """A pure value of its content key, and named by it, so that whoever stores it again changes nothing.

    JSON: ``version``, ``duration_ms``, ``labels``, and ``segments`` in the order of the recording with the columns of
    SegmentAnalysis; ``scores`` are in the order of ``labels``.
    """
    body = {
        "version": VERSION,
        "duration_ms": analysis.info.duration_ms,
        "labels": analysis.labels,
        "segments": [{name: getattr(segment, name) for name in _COLUMNS} for segment in analysis.segments],
    }
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return NewObject(object_name(content_of(work_key), "timeline.json"), text.encode())
