import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from streamproc.emotion import checkpoint, runner
from streamproc.emotion.half import BF16
from streamproc.emotion.int8 import INT8
from streamproc.emotion.layout import WEIGHTS
from streamproc.emotion.linears import AROUND, FP32, Kind, plain
from streamproc.emotion.network import Block, Network, NetworkConfig
from streamproc.emotion.onednn import PackedLinear, head_by_head
from streamproc.emotion.runner import Runner, choose_device
from streamproc.errors import UsageError
from tests.kinds import attends_here, convolves_here, here, needs, promised

Wave = NDArray[np.float32]


@pytest.mark.parametrize("there_is_cuda", [True, False])
def test_a_device_that_nobody_measured_is_taken_only_when_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
    there_is_cuda: bool,  # noqa: FBT001  # a parameter of the table
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there_is_cuda)
    assert choose_device("auto").type == choose_device("cpu").type == "cpu"
    if there_is_cuda:
        assert choose_device("cuda").type == "cuda"
    else:
        with pytest.raises(UsageError, match=r"model\.device"):
            choose_device("cuda")


@pytest.mark.skipif(not promised(), reason="torch says that it lacks some of them here")
def test_no_kind_of_product_is_missing_where_torch_has_what_it_needs() -> None:
    assert (here(FP32), here(AROUND), here(BF16)) == (FP32, AROUND, BF16)
    assert attends_here(head_by_head)
    assert convolves_here()


def mapped_bytes(path: Path) -> int:
    """Bytes in memory of what is mapped from a file."""
    found, inside = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        name, *rest = line.split()
        if not name.endswith(":"):
            inside = rest[-1] == str(path)
        elif inside and name == "Rss:":
            found += 1024 * int(rest[0])
    return found


@needs(PackedLinear)
def test_pages_of_the_file_are_given_back_while_weights_are_laid_out(
    directories: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = Path(shutil.copytree(directories("small"), tmp_path / "own"))
    network = checkpoint.load(directory).network
    weights = sum(block.fc1.weight.nbytes for block in network.blocks if isinstance(block, Block))
    before = mapped_bytes(directory / WEIGHTS)
    held = []
    blocks = runner._fit_blocks

    def noting(*args: Any) -> None:
        blocks(*args)
        held.append(mapped_bytes(directory / WEIGHTS))

    monkeypatch.setattr(runner, "_fit_blocks", noting)
    Runner(network, {"packed": PackedLinear})
    assert before > 2 * weights, "the load read no weights: they were not searched for what is not finite"
    assert held
    assert held[0] < before - weights, "what was laid out anew is still mapped as well"


@pytest.mark.parametrize("kinds", [pytest.param(table, id=next(iter(table))) for table in (FP32, BF16, INT8)])
def test_two_threads_lay_out_what_one_does(
    kinds: Mapping[str, Kind],
    random_network: Callable[[NetworkConfig], Network],
    shapes: dict[str, NetworkConfig],
    clip: Callable[[int, int], Wave],
) -> None:
    waves = [clip(20_000, 1), clip(9_000, 2)]
    for name, kind in here(kinds).items():
        found = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            try:
                engine = Runner(random_network(shapes["thin"]), {name: kind})
            finally:
                torch.set_num_threads(1)
            found.append(engine.run(waves).logits)
        assert np.abs(found[0] - found[1]).max() <= 1e-5, name


@pytest.mark.parametrize(
    "kinds", [{"plain": plain}, pytest.param({"packed": PackedLinear}, marks=needs(PackedLinear), id="packed")]
)
def test_a_network_serves_one_runner_whatever_that_made_of_it(
    kinds: Mapping[str, Kind], random_network: Callable[[NetworkConfig], Network], shapes: dict[str, NetworkConfig]
) -> None:
    network = random_network(shapes["tiny"])
    Runner(network, kinds)
    with pytest.raises(ValueError, match="one of its own"):
        Runner(network, kinds)
