from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _no_servers_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands read ``local.env`` of the state folder, which may lead to servers of whoever runs the tests."""
    monkeypatch.setenv("STREAMPROC_LOCAL__STATE_DIR", str(tmp_path / "state"))
