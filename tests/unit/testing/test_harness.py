"""The harness is public: whoever tests with it has variables of their own."""

import os
from pathlib import Path

import pytest

from streamproc.settings import FlowSettings, Settings, load_settings
from streamproc.testing.harness import WorkerHarness


def test_neither_variables_nor_a_file_change_a_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calm = WorkerHarness().settings
    file = tmp_path / "streamproc.toml"
    file.write_text('[topics]\nrecordings = "mine"\n')
    monkeypatch.setenv("STREAMPROC_CONFIG", str(file))
    monkeypatch.setenv("STREAMPROC_FLOW__MICRO_BATCHES", "1")
    monkeypatch.setenv("STREAMPROC_STORAGE__BUCKET", "mine")
    assert load_settings() != calm
    assert WorkerHarness().settings == calm
    monkeypatch.setenv("STREAMPROC_FLOW__MICRO_BATCHES", "none")
    monkeypatch.setenv("STREAMPROC_CONFIG", "/nowhere")
    assert WorkerHarness().settings == calm


def test_its_settings_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("STREAMPROC_")]:
        monkeypatch.delenv(variable)
    assert WorkerHarness().settings == Settings()


def test_it_takes_the_settings_that_it_is_given() -> None:
    given = Settings(flow=FlowSettings(micro_batches=1))
    assert WorkerHarness(given).settings is given
