import logging
import random

import numpy as np
import pytest
import torch

from streamproc.bench.engine import FUNASR, NEEDED, run_engine
from streamproc.bench.show import engine_json
from streamproc.emotion.errors import CheckpointError
from streamproc.emotion.network import PUBLISHED_STEM, NetworkConfig


@pytest.fixture(autouse=True)
def _a_small_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    stem = tuple(layer._replace(channels=8) for layer in PUBLISHED_STEM)
    monkeypatch.setattr("streamproc.bench.subject.SHAPES", {"small": NetworkConfig(32, 2, 1, 1, 9, stem=stem)})


def test_the_engine_gives_the_scores_of_its_peer_and_leaves_the_process_as_it_was() -> None:
    torch.set_num_threads(2)
    torch.manual_seed(1)
    random.seed(1)
    before = (random.getstate(), np.random.get_state(legacy=False))  # noqa: NPY002  # the global one is what FunASR seeds
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    told: list[tuple[str, int, int]] = []
    report = run_engine("small", 1, 1, lambda name, _text, done, total: told.append((name, done, total)))
    assert {peer.name for peer in report.peers if peer.precision == "fp32"} | report.missing.keys() == NEEDED.keys()
    assert FUNASR in {peer.name for peer in report.peers}
    assert max(peer.largest_difference for peer in report.peers if peer.precision == "fp32") < 1e-5
    narrow = {peer.name: peer for peer in report.peers if peer.precision != "fp32"}
    assert narrow.keys() >= {"streamproc, bf16", "streamproc, int8"}
    if not report.missing:
        assert narrow.keys() >= {"ONNX Runtime, int8", "OpenVINO, int8"}
        assert narrow["ONNX Runtime, int8"].alike is not None
    # Above what the order of sums does, so they are other products; far below what another network would give.
    assert all(1e-6 < peer.largest_difference < 0.1 for peer in narrow.values())
    assert report.threads == 1
    assert told[-1] == ("turns", 1, 1)
    assert engine_json(report)["of_best_gemm"] == report.of_best_gemm > 0
    assert [choice.split(" (")[0] for choice in report.choices] == [
        *("linear layers of the blocks", "linear layers around them", "attention")
    ]
    assert engine_json(report)["choices"] == report.choices
    assert 0 < report.of_gemm.least <= report.of_gemm.most
    assert torch.get_num_threads() == 2
    assert torch.initial_seed() == 1
    assert random.getstate() == before[0]
    assert repr(np.random.get_state(legacy=False)) == repr(before[1])  # noqa: NPY002  # same
    assert (list(logging.getLogger().handlers), logging.getLogger().level) == (handlers, level)


def test_without_its_peers_the_engine_is_measured_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.bench.engine.find_spec", lambda _: None)
    report = run_engine("demo", 1, 2, lambda *_: None, narrow=False)
    assert (report.peers, report.missing) == ([], {name: list(needed) for name, needed in NEEDED.items()})
    assert report.audio_seconds_per_s.least > 0


def test_a_shape_gets_random_weights_for_as_long_as_it_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.bench.engine.find_spec", lambda _: None)
    assert run_engine("small", 1, 1, lambda *_: None, narrow=False).model == "small"
    with pytest.raises(CheckpointError):
        run_engine("plus_large", 1, 1, lambda *_: None)  # no shape here, nor a folder
