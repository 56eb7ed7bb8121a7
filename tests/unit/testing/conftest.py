"""What tests of simulated worlds share."""

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture
def _silent() -> Iterator[None]:
    """Workers log nothing: they go through hundreds of outages."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)
