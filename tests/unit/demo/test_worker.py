import sys
import time
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from pydantic import SecretStr

from streamproc.demo.run import demo_settings
from streamproc.demo.worker import WorkerEndedError, WorkerProcess, environment, parse_stages
from streamproc.errors import Stage
from streamproc.settings import Settings
from streamproc.telemetry.metrics import Metrics


def settings(**sections: object) -> Settings:
    return Settings(**sections)  # type: ignore[arg-type]


def watch(worker: WorkerProcess) -> None:
    """Look at it until it ends or a minute has passed."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        worker.check()
        time.sleep(0.05)


def test_the_variables_say_the_same_settings_to_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    here = demo_settings(
        settings(
            kafka={"bootstrap_servers": "h:1", "sasl_username": "u", "sasl_password": SecretStr("p w")},
            storage={"allowed_buckets": ("a", "b"), "secret_key": SecretStr("s")},
            retry={"delays_s": (1, 2)},
            local={"prefer_path": False},
        )
    )
    for name, value in environment(here).items():
        monkeypatch.setenv(name, value)
    assert settings() == here


def test_the_demo_meets_nothing_of_yours() -> None:
    yours = settings(kafka={"group": "g"})
    demos = demo_settings(yours)
    assert not {*yours.topics.model_dump().values()} & {
        demos.topics.recordings,
        demos.topics.results,
        demos.topics.segments,
        demos.topics.ledger,
    }
    assert demos.topics.lanes == ("demo.recordings.retry.10s", "demo.recordings.retry.5m")
    assert (demos.kafka.group, demos.kafka.transactional_prefix) == ("streamproc-demo", "streamproc-demo")


def test_lanes_follow_their_topic_even_when_they_were_asked_for_before() -> None:
    yours = settings()
    assert yours.topics.lanes[0] == "audio.recordings.retry.10s"
    assert demo_settings(yours).topics.lanes[0] == "demo.recordings.retry.10s"


def test_stages_are_read_from_the_workers_own_exposition() -> None:
    metrics = Metrics()
    metrics.stage_seconds[Stage.FETCH].observe(0.5)
    metrics.stage_seconds[Stage.FETCH].observe(0.25)
    metrics.stage_seconds[Stage.ADMIT].observe(1)
    stages = parse_stages(generate_latest(metrics.registry).decode())
    assert stages == {Stage.ADMIT: (1.0, 1), Stage.FETCH: (0.75, 2)}
    assert list(stages) == [Stage.ADMIT, Stage.FETCH]


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
