import logging
import random

import numpy as np
import pytest
import torch

from streamproc.bench.engine import run_engine
from streamproc.bench.show import engine_json


def test_the_engine_gives_the_scores_of_its_peer_and_leaves_the_process_as_it_was() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    random.seed(1)
    before = (random.getstate(), np.random.get_state(legacy=False))  # noqa: NPY002  # the global one is what FunASR seeds
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    told: list[tuple[int, int]] = []
    report = run_engine("demo", 2, 1, lambda _name, _text, done, total: told.append((done, total)))
    assert report.peer is not None
    assert report.peer.largest_difference < 1e-5
    assert report.threads == 2
    assert told == [(1, 1)]
    assert engine_json(report)["of_floor"] == report.of_floor > 0
    assert torch.get_num_threads() == 1
    assert torch.initial_seed() == 1
    assert random.getstate() == before[0]
    assert repr(np.random.get_state(legacy=False)) == repr(before[1])  # noqa: NPY002  # same
    assert (list(logging.getLogger().handlers), logging.getLogger().level) == (handlers, level)


def test_without_its_peer_the_engine_is_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.bench.engine.funasr_installed", lambda: False)
    report = run_engine("demo", 1, 2, lambda *_: None)
    assert report.peer is None
    assert report.audio_seconds_per_s.least > 0
