"""One long recording through the engine: ``python -m streamproc.bench.long_run DIRECTORY SECONDS THREADS``.

Cut into segments as a decoder does it, each of them computed as the device process does it, all of them in one value at
the end. Prints one JSON object.
"""

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import torch

from streamproc.arena import SAMPLE_RATE
from streamproc.audio.prepare import prepare
from streamproc.audio.segment import Segment
from streamproc.audio.stream import Stream
from streamproc.audio.voice import load_session
from streamproc.bench.cold_start import memory_kib
from streamproc.bench.speech import call
from streamproc.emotion.model import EmotionModel, load_model
from streamproc.errors import StreamprocError
from streamproc.records.analysis import SegmentAnalysis, aggregate, best
from streamproc.records.compute import ItemError

WARM_S = 30.0
"""Long enough for the voice detector, and for a segment of the most that there can be."""


class NoValueError(StreamprocError):
    """Raised when a segment has no scores: then there is nothing to time."""


def main(directory: str, seconds: str, threads: str) -> None:
    """Load, warm up, and run."""
    torch.set_num_threads(int(threads))
    model, session = load_model(directory, device="cpu"), load_session()
    run(model, call(WARM_S), session)
    stream = call(float(seconds))
    before = memory_kib()["VmHWM"]
    start = time.perf_counter()
    segments = run(model, stream, session)
    scores = aggregate(segments)
    taken = time.perf_counter() - start
    answer = {
        "taken_s": taken,
        "segments": len(segments),
        "speech_s": sum(segment.speech_ms for segment in segments) / 1000,
        "before_kib": before,
        "peak_kib": memory_kib()["VmHWM"],
        "scores": scores,
    }
    print(json.dumps(answer))  # noqa: T201  # this is its answer


def run(model: EmotionModel, stream: Stream, session: Any) -> Sequence[SegmentAnalysis]:
    """All segments, in their order. Raises NoValueError."""
    segments = [analysed(model, number, found) for number, found in enumerate(prepare(stream, "mix", session))]
    if not segments:
        raise NoValueError("nobody speaks in the recording")
    return segments


def analysed(model: EmotionModel, number: int, segment: Segment) -> SegmentAnalysis:
    """What is kept of a segment, as a worker keeps it. Raises NoValueError."""
    (value,) = model.run([segment.wave])
    if isinstance(value, ItemError):
        raise NoValueError(f"a segment has no scores: {value.message}")
    label, confidence = best(model.labels, value.scores)
    start, end, speech = (samples * 1000 // SAMPLE_RATE for samples in (segment.start, segment.end, segment.speech))
    return SegmentAnalysis(
        number, segment.channel, start, end, speech, segment.level_dbfs, label, confidence, value.scores
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
