import sys
import time
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from pydantic import SecretStr

from streamproc.errors import Stage
from streamproc.local.apart import apart
from streamproc.local.variables import environment
from streamproc.local.worker import WorkerEndedError, WorkerProcess, parse_histogram, parse_stages
from streamproc.settings import Settings, load_settings
from streamproc.telemetry.metrics import Metrics


def settings(**sections: object) -> Settings:
    return load_settings(**sections)


def watch(worker: WorkerProcess) -> None:
    """Look at it until it ends or a minute has passed."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        worker.check()
        time.sleep(0.05)


def test_the_variables_say_the_same_settings_to_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    here = apart(
        settings(
            kafka={"bootstrap_servers": "h:1", "sasl_username": "u", "sasl_password": SecretStr("p w")},
            storage={"allowed_buckets": ("a", "b"), "secret_key": SecretStr("s")},
            retry={"delays_s": (1, 2)},
            local={"prefer_path": False},
        ),
        "own",
        3,
    )
    for name, value in environment(here).items():
        monkeypatch.setenv(name, value)
    assert settings() == here


def test_stages_are_read_from_the_workers_own_exposition() -> None:
    metrics = Metrics()
    metrics.stage_seconds[Stage.FETCH].observe(0.5)
    metrics.stage_seconds[Stage.FETCH].observe(0.25)
    metrics.stage_seconds[Stage.ADMIT].observe(1)
    stages = parse_stages(generate_latest(metrics.registry).decode())
    assert stages == {Stage.ADMIT: (1.0, 1), Stage.FETCH: (0.75, 2)}
    assert list(stages) == [Stage.ADMIT, Stage.FETCH]


def test_a_histogram_is_read_by_its_name() -> None:
    metrics = Metrics()
    metrics.micro_batch_records.observe(512)
    metrics.micro_batch_records.observe(100)
    text = generate_latest(metrics.registry).decode()
    assert parse_histogram(text, "streamproc_micro_batch_records") == (612.0, 2)
    with pytest.raises(KeyError):
        parse_histogram(text, "streamproc_micro_batch")


def test_only_whole_lines_of_the_log_are_read(tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    log.write_text('{"event": "one"}\na library\n{"event": "two"}\n{"event": "hal')
    assert [line["event"] for line in WorkerProcess(settings(), log).lines()] == ["one", "two"]


def test_a_worker_that_was_not_started_has_no_process_id(tmp_path: Path) -> None:
    with pytest.raises(WorkerEndedError, match="does not run"):
        WorkerProcess(settings(), tmp_path / "worker.log").pid  # noqa: B018  # reading it raises


def test_a_worker_that_ends_is_noticed_with_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    worker = WorkerProcess(settings(), tmp_path / "sub" / "worker.log")
    monkeypatch.setenv("STREAMPROC_FLOW__DRAIN_S", "1000")  # impossible: it refuses to start
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, sys.path)))
    worker.start()
    try:
        with pytest.raises(WorkerEndedError, match=r"(?s)exit code 2.*worker\.log.*drain_s"):
            watch(worker)
    finally:
        worker.stop()
    worker.stop()  # safe once more
