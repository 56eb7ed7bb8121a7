"""FunASR itself, one clip at a time: the judge of the numbers and the peer in speed."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from streamproc.bench.waves import Wave
from streamproc.emotion.funasr_globals import kept_globals


class Peer:
    """FunASR's model of one directory."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def scores(self, wave: Wave) -> tuple[float, ...]:
        """Scores of one clip, in the model's order of labels."""
        (found,) = self._model.generate(wave, granularity="utterance", extract_embedding=False)
        return tuple(map(float, found["scores"]))

    def frames(self, wave: Wave) -> tuple[Wave, Wave]:
        """Frames [frames, embed_dim] and scores of one clip."""
        (found,) = self._model.generate(wave, granularity="frame")
        return found["feats"], np.array(found["scores"], np.float32)

    @property
    def network(self) -> Any:
        """Its torch module, for what ``generate`` never does with it."""
        return self._model.model


@contextmanager
def open_peer(directory: Path, threads: int, device: str = "cpu") -> Iterator[Peer]:
    """FunASR on the CPU, or another device of torch's, with as many threads as asked for.

    What it does to the whole process is put back, so that whoever is compared to it, or comes after it, is what it is
    without it.
    """
    with kept_globals():
        from funasr import AutoModel  # noqa: PLC0415  # it takes seconds, and is not always there

        # What it imports has given the root logger a level by now, and a handler, so its own `log_level` does nothing.
        logging.getLogger().setLevel(logging.ERROR)
        model = AutoModel(
            model=str(directory),
            device=device,
            ncpu=threads,
            disable_update=True,
            disable_pbar=True,
            log_level="ERROR",
        )
        torch.set_num_threads(threads)
        yield Peer(model)
