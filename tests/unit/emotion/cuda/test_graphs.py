from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from streamproc.emotion.cuda.bucket import Bucket
from streamproc.emotion.cuda.graphs import SEEN, Graphs
from tests.unit.emotion.cuda.stand_in import RunsAgain

ROOM = 16
MOST, IDLE = 2, 5
ONE, OTHER, THIRD = Bucket(1, 6), Bucket(2, 6), Bucket(3, 6)
LARGE = Bucket(128, 254)


def packed(value: int, size: int = ROOM) -> Tensor:
    return torch.full((size,), value, dtype=torch.uint8)


def work(items: int) -> Callable[[Tensor], Tensor]:
    """[items, 1]: the sum of what a pass reads, so that a replay on stale bytes shows."""
    return lambda read: read.float().sum().expand(items, 1)


def run(graphs: Graphs, bucket: Bucket, value: int = 1, size: int = ROOM) -> float | None:
    found = graphs.run(bucket, packed(value, size), ROOM, work(bucket.items))
    return None if found is None else float(found[0, 0])


def record(graphs: Graphs, *buckets: Bucket) -> None:
    for bucket in buckets:
        for _ in range(SEEN):
            run(graphs, bucket)


@pytest.fixture
def graphs(capturer: RunsAgain) -> Graphs:
    return Graphs(capturer, numbers=1, most=MOST, idle=IDLE)


def test_a_shape_is_recorded_when_it_comes_back_and_replayed_from_then_on(graphs: Graphs, capturer: RunsAgain) -> None:
    assert [run(graphs, ONE, value) for value in (1, 2, 3, 4)] == [None, 32, 48, 64]
    assert (capturer.recorded, capturer.replayed) == (1, 3)


def test_a_replay_reads_what_was_packed_now_and_what_an_earlier_pass_left_behind_it(graphs: Graphs) -> None:
    """``unpack`` looks at nothing behind the clips; that a graph does not clear it is the point of that."""
    record(graphs, ONE)
    assert run(graphs, ONE, 5) == 5 * ROOM
    assert run(graphs, ONE, 1, size=6) == 6 + 5 * (ROOM - 6)


def test_a_large_shape_is_never_recorded(graphs: Graphs, capturer: RunsAgain) -> None:
    record(graphs, LARGE, LARGE)
    assert (len(graphs), capturer.recorded) == (0, 0)


def test_shapes_in_turn_do_not_push_each_other_out(graphs: Graphs, capturer: RunsAgain) -> None:
    record(graphs, ONE, OTHER, THIRD)
    assert run(graphs, THIRD) is None
    assert run(graphs, ONE) is not None
    assert run(graphs, OTHER) is not None
    assert capturer.recorded == MOST


def test_the_one_that_is_idle_for_longest_gives_way(graphs: Graphs) -> None:
    record(graphs, ONE, OTHER)
    for _ in range(IDLE):
        run(graphs, ONE)
    record(graphs, THIRD)
    assert len(graphs) == MOST
    assert run(graphs, THIRD) is not None
    assert run(graphs, ONE) is not None
    assert run(graphs, OTHER) is None


@pytest.mark.parametrize("error", [RuntimeError("not permitted"), torch.OutOfMemoryError("CUDA out of memory")])
def test_a_device_that_cannot_record_is_asked_once_and_replays_what_it_has(
    graphs: Graphs, capturer: RunsAgain, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    record(graphs, ONE)
    capturer.error = error
    record(graphs, OTHER)
    capturer.error = None
    record(graphs, OTHER)
    assert run(graphs, OTHER) is None
    assert run(graphs, ONE) is not None
    assert capturer.recorded == 1
    assert len([r for r in caplog.records if "no more passes are recorded" in r.getMessage()]) == 1


def test_graphs_are_given_up_when_none_of_them_runs_and_for_good(graphs: Graphs, capturer: RunsAgain) -> None:
    record(graphs, ONE)
    graphs.give_up()
    assert capturer.calls == ["finish", "release"]
    record(graphs, ONE)
    assert run(graphs, ONE) is None
    assert len(graphs) == 0
