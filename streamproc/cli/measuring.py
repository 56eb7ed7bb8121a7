"""What ``model info --measure`` runs."""

from collections.abc import Sequence
from pathlib import Path

import soundfile
import torch

from streamproc.arena import SAMPLE_RATE
from streamproc.bench.waves import make_waves
from streamproc.cores import cores
from streamproc.emotion.comparison import Comparison, compare
from streamproc.emotion.engine import Wave
from streamproc.emotion.model import load_model
from streamproc.emotion.precision import OFFERED
from streamproc.emotion.runner import choose_device
from streamproc.errors import UsageError
from streamproc.operate.progress import LiveProgress
from streamproc.settings import ModelSettings

PACKAGES = ("torch", "numpy")
CLIPS, SEED = 24, 5
SHORTEST_S, LONGEST_S = 0.6, 8.0
MOST_S = 60
"""Of a clip: longer recordings are cut into segments before the model sees them."""


def measured(directory: Path, settings: ModelSettings, clips: Path | None, turns: int, bound: float) -> Comparison:
    """Compare all precisions of the device that is set, on the threads that are set.

    ``clips`` is a folder of recordings; None takes voices that are made in code. Raises UsageError for a folder without
    any, or a recording that is not 16 kHz mono.
    """
    waves = make_waves(CLIPS, SEED, SHORTEST_S, LONGEST_S) if clips is None else read_waves(clips)
    before = torch.get_num_threads()
    torch.set_num_threads(settings.threads or cores())
    try:
        offered = OFFERED[choose_device(settings.device).type]
        models = {precision: load_model(directory, settings.device, precision) for precision in offered}
        with LiveProgress() as progress:
            return compare(models, waves, turns, bound, progress.count)
    finally:
        torch.set_num_threads(before)


def read_waves(folder: Path) -> Sequence[Wave]:
    """All recordings of a folder that libsndfile reads, in the order of their names."""
    files = sorted(path for path in folder.glob("*") if path.suffix[1:].upper() in soundfile.available_formats())
    if not files:
        raise UsageError(f"{folder} holds no recordings: name a folder of WAV, FLAC or Ogg files, 16 kHz, mono")
    return [_read(path) for path in files]


def _read(path: Path) -> Wave:
    try:
        with soundfile.SoundFile(path) as file:
            if (file.samplerate, file.channels) != (SAMPLE_RATE, 1) or file.frames > MOST_S * SAMPLE_RATE:
                raise UsageError(
                    f"{path} has {file.channels} channels at {file.samplerate} Hz and {file.frames} frames: make it "
                    f"16 kHz, mono, at most {MOST_S} s"
                )
            wave: Wave = file.read(dtype="float32")
            return wave
    except soundfile.LibsndfileError as error:
        raise UsageError(f"{path} cannot be read: {error.error_string}") from error
