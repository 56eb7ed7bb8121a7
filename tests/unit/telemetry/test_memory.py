import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from streamproc.telemetry import memory
from streamproc.telemetry.memory import MemoryReading, device_memory
from streamproc.telemetry.metrics import Metrics


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[bytes]]]:
    program = [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"]
    started = [subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(2)]
    for child in started:
        assert child.stdout
        child.stdout.readline()
    yield started
    for child in started:
        with child:
            child.communicate()


def shown(metrics: Metrics, name: str, **labels: str) -> float:
    value = metrics.registry.get_sample_value(f"streamproc_{name}", labels)
    assert value is not None
    return value


def test_processes_are_told_apart(children: list[subprocess.Popen[bytes]], tmp_path: Path) -> None:
    metrics = Metrics()
    MemoryReading(metrics, lambda: children[0].pid, tmp_path)()
    assert shown(metrics, "memory_bytes", process="main") > 10_000_000
    assert shown(metrics, "memory_bytes", process="device") > 1_000_000
    assert shown(metrics, "memory_bytes", process="decoders") > 1_000_000
    assert 0 < shown(metrics, "host_memory_bytes", part="used") < shown(metrics, "host_memory_bytes", part="total")


def test_a_container_has_what_it_is_given(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("400000\n")
    metrics = Metrics()
    MemoryReading(metrics, lambda: None, tmp_path)()
    assert shown(metrics, "host_memory_bytes", part="used") == 400_000
    assert shown(metrics, "host_memory_bytes", part="total") == 1_000_000


@dataclass
class Used:
    pid: int = 0
    used: int = 0
    total: int = 0


class Driver(ModuleType):
    """NVML with accelerators of which each has one user."""

    def __init__(self, *pids: int) -> None:
        super().__init__("pynvml")
        self._pids = pids

    class NVMLError(Exception):  # the driver's own name
        """What the driver raises."""

    refuses = False

    def memory(self, device: int) -> Used:
        if self.refuses:
            raise self.NVMLError("Insufficient Permissions")
        return Used(used=device + 1, total=10)

    def __getattr__(self, name: str) -> Any:
        return {
            "nvmlDeviceGetCount": lambda: len(self._pids),
            "nvmlDeviceGetHandleByIndex": lambda place: place,
            "nvmlDeviceGetComputeRunningProcesses": lambda device: [Used(self._pids[device])],
            "nvmlDeviceGetMemoryInfo": self.memory,
        }[name]


@pytest.mark.parametrize(
    ("pids", "found"), [((), None), ((9,), (1, 10)), ((1, 7), (2, 10)), ((7, 1), (1, 10)), ((1, 2), None)]
)
def test_of_several_accelerators_the_one_is_meant_that_our_process_uses(
    pids: tuple[int, ...], found: tuple[int, int] | None
) -> None:
    assert device_memory(Driver(*pids), 7) == found


def told(metrics: Metrics) -> tuple[float, float]:
    generate_latest(metrics.registry)
    return shown(metrics, "device_memory_bytes", part="used"), shown(metrics, "device_memory_bytes", part="total")


def test_a_driver_that_refuses_is_said_once_and_hides_no_metric(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    driver, metrics = Driver(7), Metrics()
    monkeypatch.setattr(memory, "open_nvml", lambda: driver)
    metrics.refresh.add(MemoryReading(metrics, lambda: 7, tmp_path))
    assert told(metrics) == (1, 10)
    driver.refuses = True
    with capture_logs() as lines:
        assert told(metrics) == told(metrics) == (0, 0)
    assert [line["detail"] for line in lines] == ["Insufficient Permissions"]
    assert shown(metrics, "memory_bytes", process="main") > 10_000_000
    driver.refuses = False
    assert told(metrics) == (1, 10)


def test_who_computes_on_the_cpu_does_not_tell_of_somebody_elses_accelerator(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    metrics = Metrics()
    monkeypatch.setattr(memory, "open_nvml", lambda: Driver(1))
    metrics.refresh.add(MemoryReading(metrics, lambda: 7, tmp_path, accelerated=False))
    assert told(metrics) == (0, 0)
