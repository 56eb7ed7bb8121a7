"""What needs no device of `bench gpu`: its stream and its clocks on an engine of the host, its goals, its refusal."""

import io
import json

import numpy as np
import pytest
import torch
from rich.console import Console
from typer.testing import CliRunner

from streamproc.bench.gpu import BATCHES, GpuPeer, fitting, latency_ms, stream
from streamproc.bench.gpu_show import NO_PEER, goals, gpu_json, show_gpu
from streamproc.bench.spread import Spread
from streamproc.bench.waves import Wave, make_waves
from streamproc.cli.app import app
from streamproc.emotion.cuda.engine import CudaEngine
from streamproc.emotion.cuda.graphs import Graphs
from streamproc.emotion.network import PUBLISHED_STEM, Network, NetworkConfig
from streamproc.errors import ExitCode
from tests.unit.bench.made import gpu_report
from tests.unit.emotion.cuda.stand_in import PlainBerth, RunsAgain

PEER = GpuPeer(Spread(90, 100, 110), Spread(110, 120, 130))
STEM = tuple(layer._replace(channels=8) for layer in PUBLISHED_STEM)


class Counting(PlainBerth):
    """A berth that counts the passes under way."""

    under_way = most = 0

    def receive(self, found: torch.Tensor) -> None:
        super().receive(found)
        Counting.under_way += 1
        Counting.most = max(Counting.most, Counting.under_way)

    def take(self) -> Wave:
        Counting.under_way -= 1
        return super().take()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> CudaEngine:
    monkeypatch.setattr(Counting, "most", 0)
    network = Network(NetworkConfig(32, 2, 1, 1, 9, stem=STEM)).eval().requires_grad_(requires_grad=False)
    for parameter in network.parameters():
        parameter.normal_(0, 0.1, generator=torch.Generator().manual_seed(1))
    return CudaEngine(network, [Counting(), Counting()], Graphs(RunsAgain(), 41), 60)


@pytest.fixture
def waves() -> list[Wave]:
    return list(make_waves(4, 1, 0.1, 0.2))


def test_in_a_stream_two_passes_are_under_way_and_all_of_them_are_taken(engine: CudaEngine, waves: list[Wave]) -> None:
    assert stream(engine, [waves] * 5) > 0
    assert (Counting.most, Counting.under_way) == (2, 0)


def test_a_latency_is_of_one_pass_at_a_time(engine: CudaEngine, waves: list[Wave]) -> None:
    found = latency_ms(engine, waves[:1], 3)
    assert 0 < found.least <= found.middle <= found.most
    assert Counting.most == 1


def test_a_batch_is_halved_until_the_memory_holds_it(
    engine: CudaEngine, waves: list[Wave], monkeypatch: pytest.MonkeyPatch
) -> None:
    right = PlainBerth.room

    def room(self: PlainBerth, size: int) -> np.ndarray:
        if size > 2 * 4 * max(map(len, waves)) + 100:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return right(self, size)

    monkeypatch.setattr(PlainBerth, "room", room)
    assert fitting(engine, waves) == 2
    assert fitting(engine, waves[:1]) == 1


def test_every_goal_is_told_with_what_was_found() -> None:
    found = {goal.name: goal.met for goal in goals(gpu_report(PEER))}
    assert list(found.values()) == [True, True, True, True, False]
    assert len(goals(gpu_report(None))) == len(found) - 1


def test_the_report_is_shown_and_fits_a_screen() -> None:
    out = io.StringIO()
    show_gpu(gpu_report(PEER), Console(file=out, width=80))
    text = " ".join(out.getvalue().split())
    assert "FunASR, clip by clip 90 100 110" in text
    assert "40% of it reached" in text
    assert "95% of the stream's time: products 70%, elementwise 30%" in text
    assert "Goal missed: one clip alone, ms 7, under 6." in text


def test_without_a_peer_no_ratio_is_told() -> None:
    out = io.StringIO()
    show_gpu(gpu_report(None), Console(file=out, width=200))
    assert NO_PEER in out.getvalue()
    assert "ratio" not in out.getvalue()


def test_programs_get_the_same_and_which_goals_are_met() -> None:
    body = json.loads(json.dumps(gpu_json(gpu_report(PEER))))
    assert body["bench"] == "gpu"
    assert body["of_floor"] == 0.4
    assert [goal["met"] for goal in body["goals"]] == [True, True, True, True, False]


def test_an_even_number_of_batches_serves_both_sets_of_clips() -> None:
    assert BATCHES % 2 == 0


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_device_the_command_says_so() -> None:
    done = CliRunner().invoke(app, ["bench", "gpu", "--model", "demo"])
    assert done.exit_code == ExitCode.USAGE
    assert "bench engine measures the CPU" in done.output
