from collections.abc import Callable

import pytest

from streamproc.emotion.cuda.engine import CudaEngine
from streamproc.emotion.network import Network, NetworkConfig
from streamproc.emotion.runner import Runner
from tests.unit.emotion.cuda.stand_in import RunsAgain, on_host


@pytest.fixture
def capturer() -> RunsAgain:
    return RunsAgain()


@pytest.fixture(scope="session")
def tiny(random_network: Callable[[NetworkConfig], Network], shapes: dict[str, NetworkConfig]) -> Network:
    return random_network(shapes["tiny"])


@pytest.fixture
def reference(random_network: Callable[[NetworkConfig], Network], shapes: dict[str, NetworkConfig]) -> Runner:
    """The CPU's engine, with a network of its own: a runner changes the one that it is given."""
    return Runner(random_network(shapes["tiny"]))


@pytest.fixture
def engine(tiny: Network, capturer: RunsAgain) -> CudaEngine:
    return on_host(tiny, capturer)
