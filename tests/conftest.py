"""Markers by folder, and the real servers that a test session shares."""

import gc
import logging
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from streamproc.local.failure import ProgramMissingError
from streamproc.local.stack import Stack, down, up
from streamproc.settings import Settings, users_settings
from tests.descriptors import opened
from tests.programs import missing

# How long an example takes is the machine's business.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.load_profile("here")

FEW = 64
"""Descriptors that a file of tests may leave: those of a few clients that failed for good and keep their own."""
ON_SERVERS = ("integration", "e2e")
"""Folders whose tests need the real servers."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark by folder, so that no test can forget it."""
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).parts[0] in ON_SERVERS:
            item.add_marker("servers")


@pytest.fixture(scope="session", autouse=True)
def _no_settings_from_outside() -> Iterator[None]:
    """Tests see the defaults and what they set, never the servers of whoever runs them.

    Where programs come from is the machine's business, so ``STREAMPROC_LOCAL__*`` stays.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith("STREAMPROC_") and "__" in name and not name.startswith("STREAMPROC_LOCAL__"):
                patch.delenv(name)
        patch.delenv("STREAMPROC_CONFIG", raising=False)
        yield


@pytest.fixture(autouse=True)
def _all_is_heard() -> Iterator[None]:
    """What the program says is said in each test, at debug, too, whatever another one set up, or nobody did."""
    logger = logging.getLogger("streamproc")
    before = logger.level
    logger.setLevel(logging.DEBUG)
    yield
    logger.setLevel(before)


@pytest.fixture(scope="module", autouse=True)
def _few_descriptors_are_left() -> Iterator[None]:
    """What each file of tests leaves open adds up, until a whole run has more than ``select`` can count."""
    before = len(opened())
    yield
    if len(opened()) - before > FEW:
        gc.collect()
    now = opened()
    kinds = Counter(re.sub(r"\d+", "N", name) for name in now)
    assert len(now) - before <= FEW, f"{before} descriptors were open, now there are {len(now)}: {kinds.most_common(9)}"


def nothing_more(_settings: Settings) -> None:
    """What ``up`` has to prepare where a test makes its own topics."""


def unheard(_server: str, _text: str) -> None:
    """Progress that nobody watches; what matters is in the error."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, _no_settings_from_outside: None) -> Iterator[Stack]:
    """Kafka, registry, Redis and MinIO: real ones, with data and ports of their own, down when the session ends."""
    folder = tmp_path_factory.mktemp("servers")
    settings = Settings(local=users_settings().local.model_copy(update={"state_dir": folder}))
    try:
        yield up(settings, unheard, nothing_more)
    except ProgramMissingError as error:
        missing(str(error))
    finally:
        down(settings, unheard)


@pytest.fixture(scope="session")
def servers(stack: Stack) -> Settings:
    """Settings that lead to the session's servers."""
    return stack.settings


@pytest.fixture(scope="session")
def patient(servers: Settings) -> Settings:
    """The same, with time-outs that no busy machine reaches: for tests that are not about time-outs."""
    return servers.model_copy(
        update={
            "registry": servers.registry.model_copy(update={"timeout_s": 60}),
            "redis": servers.redis.model_copy(update={"timeout_s": 60}),
            "storage": servers.storage.model_copy(update={"connect_timeout_s": 60, "read_timeout_s": 60}),
        }
    )
