from collections.abc import Callable, Mapping

import pytest
import torch

from streamproc.emotion.linears import Kind, plain
from streamproc.emotion.network import Network, NetworkConfig
from streamproc.emotion.onednn import PackedLinear
from streamproc.emotion.runner import Runner, choose_device
from streamproc.errors import UsageError
from tests.kinds import needs


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
