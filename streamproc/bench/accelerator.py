"""An accelerator that computes nothing and takes exactly as long as it is told: ``model.engine`` for benchmarks.

Everything around the device is real, and what the device could do is known, so that what is left is the worker's.
"""

import time
from collections.abc import Sequence

from streamproc.analyzer import AnalyzerOptions, Wave
from streamproc.arena import SAMPLE_RATE
from streamproc.errors import UsageError
from streamproc.records.analysis import Analysis, AudioInfo, SegmentAnalysis, whole
from streamproc.records.compute import ItemError, Scored
from streamproc.records.identity import ModelIdentity, content_key, fingerprint, scope
from streamproc.records.profile import Profile
from streamproc.settings import ModelSettings, Settings

ENGINE = "streamproc.bench.accelerator:make"
FREE = float("inf")
"""The speed of one that answers at once."""
LABELS = ("angry", "happy", "neutral", "sad")


class Accelerator:
    """Takes a second for so many seconds of audio, one batch after the other."""

    def __init__(self, name: str, audio_s_per_s: float, max_batch_seconds: float) -> None:
        self._speed = audio_s_per_s
        self.identity = identity_of(name)
        self.profile = Profile(
            most_samples=round(max_batch_seconds * SAMPLE_RATE),
            pass_s=0.0,
            sample_s=1 / (audio_s_per_s * SAMPLE_RATE),
            square_s=0.0,
        )

    def run(self, batch: Sequence[Wave]) -> list[Scored | ItemError]:
        """The same scores for each, after the time that their audio takes."""
        end = time.perf_counter() + sum(map(len, batch)) / SAMPLE_RATE / self._speed
        while (left := end - time.perf_counter()) > 0:
            time.sleep(left)
        return [Scored((0.1, 0.2, 0.3, 0.4)) for _ in batch]


def identity_of(name: str) -> ModelIdentity:
    """Of one name: what one computed is not known to the next."""
    return ModelIdentity(f"accelerator {name}", "0" * 64, "fp32", LABELS, engine=f"accelerator {name}")


def analysis_of(duration_ms: int) -> Analysis:
    """What it says of a recording that is one segment."""
    segment = SegmentAnalysis(0, -1, 0, duration_ms, duration_ms, -20.0, LABELS[3], 0.4, (0.1, 0.2, 0.3, 0.4))
    return whole(LABELS, AudioInfo(duration_ms, 16_000, 1, "wav"), duration_ms, [segment])


def key_of(settings: Settings, content_sha256: str) -> str:
    """Under which key a worker of these settings, whose model it is, looks for an analysis that everybody shares."""
    return content_key(
        scope("global", None), content_sha256, fingerprint(identity_of(settings.model.name_or_dir), "mix")
    )


def accelerated(model: ModelSettings, audio_s_per_s: float, run: str) -> ModelSettings:
    """The settings of a worker on one of that speed, which knows nothing of what other runs computed."""
    return model.model_copy(update={"engine": ENGINE, "name_or_dir": f"{audio_s_per_s:g}@{run}"})


def make(options: AnalyzerOptions) -> Accelerator:
    """As ``model.engine`` names it; ``model.name_or_dir`` is its name, which begins with its speed.

    Raises UsageError for a name that does not.
    """
    speed, _, _ = options.model.partition("@")
    try:
        audio_s_per_s = float(speed)
    except ValueError:
        audio_s_per_s = 0.0
    if not audio_s_per_s > 0:
        raise UsageError(
            f"model.name_or_dir is {options.model}: for {ENGINE} it is SPEED@NAME, in audio-seconds per second above 0"
        )
    return Accelerator(options.model, audio_s_per_s, options.max_batch_seconds)
