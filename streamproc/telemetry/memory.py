"""Memory: of the worker's processes, of the computer, and of the accelerator where there is one."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import psutil

from streamproc.telemetry.log import get_log
from streamproc.telemetry.metrics import Memory, Metrics, Process

_CGROUP = Path("/sys/fs/cgroup")
_log = get_log(__name__)


class MemoryReading:
    """Sets the gauges of memory, at a scrape. ``device_pid`` is the device process, which has the accelerator.

    Not ``accelerated`` is who computes on the CPU, whatever else there is.
    """

    def __init__(
        self,
        metrics: Metrics,
        device_pid: Callable[[], int | None],
        cgroup: Path = _CGROUP,
        *,
        accelerated: bool = True,
    ) -> None:
        self._metrics = metrics
        self._device_pid = device_pid
        self._cgroup = cgroup
        self._me = psutil.Process()
        self._nvml = open_nvml() if accelerated else None
        self._refused = False
        """Whether the driver did not tell at the last scrape."""

    def __call__(self) -> None:
        """Read it all."""
        self._processes()
        self._host()
        if self._nvml is not None:
            self._device(self._nvml)

    def _device(self, nvml: ModuleType) -> None:
        """Of the accelerator; 0 again when it is not told any more: who shares a GPU may lose the right, or the GPU."""
        try:
            found = device_memory(nvml, self._device_pid())
        except nvml.NVMLError as error:
            found = None
            if not self._refused:
                _log.warning("the accelerator's memory is not told", detail=str(error))
            self._refused = True
        else:
            self._refused = False
        for part, size in zip(Memory, found or (0, 0), strict=True):
            self._metrics.device_memory_bytes[part].set(size)

    def _processes(self) -> None:
        resident = dict.fromkeys(Process, 0)
        resident[Process.MAIN] = self._me.memory_info().rss
        device = self._device_pid()
        for child in self._me.children():
            try:
                size = child.memory_info().rss
            except psutil.NoSuchProcess:
                continue  # it ended in this moment
            resident[Process.DEVICE if child.pid == device else Process.DECODERS] += size
        for process, size in resident.items():
            self._metrics.memory_bytes[process].set(size)

    def _host(self) -> None:
        memory = psutil.virtual_memory()
        used, total = memory.total - memory.available, memory.total
        limit = self._limit()
        if limit is not None and limit < total:
            used, total = int((self._cgroup / "memory.current").read_text()), limit
        self._metrics.host_memory_bytes[Memory.USED].set(used)
        self._metrics.host_memory_bytes[Memory.TOTAL].set(total)

    def _limit(self) -> int | None:
        """Of the container (cgroup v2), where it has one."""
        try:
            text = (self._cgroup / "memory.max").read_text().strip()
        except OSError:
            return None
        return None if text == "max" else int(text)


def open_nvml() -> ModuleType | None:
    """NVIDIA's management library (nvidia-ml-py, ``streamproc[gpu]``); None without it, or without a driver."""
    try:
        nvml = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        _log.debug("the accelerator's memory is not told", detail=str(error))
        return None
    return nvml


def device_memory(nvml: ModuleType, pid: int | None) -> tuple[int, int] | None:
    """Bytes used and in all, of the accelerator that process ``pid`` computes on, or of the only one. Raises NVMLError.

    In a container that shares a computer with others the driver tells other numbers of processes: then, of several,
    nobody knows which is meant.
    """
    devices = [nvml.nvmlDeviceGetHandleByIndex(place) for place in range(nvml.nvmlDeviceGetCount())]
    if len(devices) > 1:
        users = {
            place: {process.pid for process in nvml.nvmlDeviceGetComputeRunningProcesses(device)}
            for place, device in enumerate(devices)
        }
        devices = [device for place, device in enumerate(devices) if pid in users[place]]
    if len(devices) != 1:
        return None
    memory = nvml.nvmlDeviceGetMemoryInfo(devices[0])
    return memory.used, memory.total
