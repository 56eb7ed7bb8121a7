import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog


@pytest.fixture(autouse=True)
def _no_servers_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands read ``local.env`` of the state folder, which may lead to servers of whoever runs the tests."""
    monkeypatch.setenv("STREAMPROC_LOCAL__STATE_DIR", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def _leave_logging_as_it_was() -> Iterator[None]:
    """A command that logs writes to a stream that is closed when it has ended."""
    loggers = [logging.getLogger(), logging.getLogger("streamproc")]
    before = [(one, one.handlers, one.level) for one in loggers]
    configured = structlog.get_config()
    yield
    for one, handlers, level in before:
        one.handlers = handlers
        one.setLevel(level)
    logging.captureWarnings(capture=False)
    structlog.configure(**configured)
