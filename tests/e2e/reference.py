"""FunASR itself, one file at a time: the judge of every number."""

import contextlib
import io
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import av
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

RATE = 16_000


def decode(path: Path) -> NDArray[np.float32]:
    """A recording as the reference gets it: decoded whole, the mean of its channels, resampled in one piece."""
    if path.suffix in {".mp3", ".m4a"}:
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
            rate = container.streams.audio[0].rate
        planes = np.concatenate([np.atleast_2d(frame) for frame in frames], axis=1)
        wave = planes.mean(axis=0, dtype=np.float32)
    else:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        wave = samples.mean(axis=1, dtype=np.float32)
    resampled: NDArray[np.float32] = soxr.resample(wave, rate, RATE, quality="HQ")
    return resampled


def reference_scores(waves: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float64]]:
    """Scores of 16 kHz mono waveforms on the demo checkpoint, in FunASR's label order."""
    with _judge() as answer:
        return {name: np.array(answer(wave, extract_embedding=False)["scores"]) for name, wave in waves.items()}


def reference_embeddings(waves: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
    """Embeddings of 16 kHz mono waveforms on the demo checkpoint."""
    with _judge() as answer:
        return {name: answer(wave, extract_embedding=True)["feats"] for name, wave in waves.items()}


@contextmanager
def _judge() -> Iterator[Callable[..., Mapping[str, Any]]]:
    directory = str(files("streamproc.emotion") / "checkpoints" / "demo")
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # FunASR's, on import and on load
        from funasr import AutoModel

        model = AutoModel(model=directory, device="cpu", disable_update=True, disable_pbar=True, log_level="ERROR")
        yield lambda wave, **how: model.generate(wave, granularity="utterance", **how)[0]
