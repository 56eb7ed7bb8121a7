"""A worker as a process of its own, exactly as a deployment starts it."""

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from streamproc.errors import Stage, StreamprocError
from streamproc.local.variables import environment
from streamproc.settings import Settings

TAIL_LINES = 5
HTTP_S = 5


class WorkerEndedError(StreamprocError):
    """Raised when the worker ended while it was needed."""


class WorkerProcess:
    """``streamproc worker`` from ``start`` to ``stop``, in a process group of its own: Ctrl-C is ours to pass on.

    ``program`` is a module that stands for it, with its arguments; ``python`` the interpreter, if it is not ours.
    """

    def __init__(
        self,
        settings: Settings,
        log: Path,
        program: Sequence[str] = ("streamproc", "worker"),
        python: str = sys.executable,
    ) -> None:
        self.log = log
        self._command = [python, "-m", *program]
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it loads the network while we go on."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command,
                env={**os.environ, **environment(self._settings)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def check(self) -> None:
        """Raise WorkerEndedError with the end of its log, if it ended."""
        if self._process is not None and self._process.poll() is not None:
            lines = self.log.read_text("utf-8", "replace").splitlines()[-TAIL_LINES:]
            raise WorkerEndedError(
                f"the worker ended with exit code {self._process.returncode}. Its log is {self.log}; the end of it:\n"
                + "\n".join(f"  {line}" for line in lines)
            )

    def stop(self) -> None:
        """Let it finish what is in flight; past its drain budget, kill it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(self._settings.flow.drain_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    @property
    def pid(self) -> int:
        """Of its main process. Raises WorkerEndedError when it was not started."""
        if self._process is None:
            raise WorkerEndedError("the worker does not run")
        return self._process.pid

    def metrics(self) -> str:
        """What its /metrics says. Raises WorkerEndedError when nothing answers there."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=HTTP_S)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise WorkerEndedError(f"the worker's /metrics does not answer: {error}. Its log is {self.log}") from error
        finally:
            connection.close()

    def lines(self) -> Iterator[Mapping[str, Any]]:
        """The lines of its log so far that are whole JSON objects; what something else wrote there is left out."""
        for line in self.log.read_text("utf-8", "replace").splitlines(keepends=True):
            if line.startswith("{") and line.endswith("}\n"):
                yield json.loads(line)

    @property
    def url(self) -> str:
        """Where it listens: it took a free port and says so in its first lines. Raises WorkerEndedError before that."""
        for line in self.lines():
            if line.get("event") == "worker starts":
                return str(line["url"])
        raise WorkerEndedError(f"the worker did not say where it listens. Its log is {self.log}")


def parse_stages(text: str) -> Mapping[Stage, tuple[float, int]]:
    """Read ``streamproc_stage_seconds``: sum and count by stage, in the order of a record's life."""
    sums: dict[str, float] = {}
    counts: dict[str, int] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == "streamproc_stage_seconds_sum":
                sums[sample.labels["stage"]] = sample.value
            elif sample.name == "streamproc_stage_seconds_count":
                counts[sample.labels["stage"]] = int(sample.value)
    return {stage: (sums[stage], counts[stage]) for stage in Stage if counts.get(stage)}


def parse_histogram(text: str, name: str) -> tuple[float, int]:
    """Sum and count of a histogram without labels. Raises KeyError for one that is not there."""
    samples = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        if family.name == name
        for sample in family.samples
    }
    return samples[f"{name}_sum"], int(samples[f"{name}_count"])


def parse_gauge(text: str, name: str) -> float:
    """The value of a gauge without labels. Raises KeyError for one that is not there."""
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name:
                return sample.value
    raise KeyError(name)


def parse_series(text: str, name: str, label: str) -> Mapping[str, float]:
    """The value of each series of a counter or gauge, by its one label."""
    return {
        sample.labels[label]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and label in sample.labels
    }
