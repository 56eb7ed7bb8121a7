"""FunASR itself, one file at a time: the judge of every number."""

import contextlib
import io
import warnings
from collections.abc import Mapping
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray


def reference_scores(waves: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float64]]:
    """Scores of 16 kHz mono waveforms on the demo checkpoint, in FunASR's label order."""
    directory = str(files("streamproc.emotion") / "checkpoints" / "demo")
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # FunASR's, on import and on load
        from funasr import AutoModel

        model = AutoModel(model=directory, device="cpu", disable_update=True, disable_pbar=True, log_level="ERROR")
        return {
            name: np.array(model.generate(wave, granularity="utterance", extract_embedding=False)[0]["scores"])
            for name, wave in waves.items()
        }
