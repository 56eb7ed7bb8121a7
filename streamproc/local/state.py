"""What is kept in ``.streamproc/``: data, logs, process records, ports, ``local.env``."""

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from signal import SIGTERM

from streamproc.local.cache import locked
from streamproc.local.process import ProcessId
from streamproc.settings import LOCAL_ENV


@dataclass(frozen=True, slots=True)
class Running:
    """The record of a server that was started."""

    version: str
    ports: Mapping[str, int]
    started_at: float
    """Seconds since the epoch."""
    process: ProcessId
    stop_signal: int = SIGTERM


def write_private(path: Path, text: str) -> None:
    """Write a file whole or not at all, readable by its owner only."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@dataclass(frozen=True, slots=True)
class State:
    """One state folder (absolute)."""

    root: Path

    @property
    def environment(self) -> Path:
        """The file with the addresses of what runs."""
        return self.root / LOCAL_ENV

    def folder(self, server: str) -> Path:
        """The folder of one server, made if need be."""
        path = self.root / "local" / server
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log(self, server: str) -> Path:
        """The log of one server."""
        return self.folder(server) / "log"

    @contextmanager
    def held(self, stop: threading.Event, waiting: Callable[[], None]) -> Iterator[None]:
        """Only one ``up`` or ``down`` at a time."""
        with locked(self.root / "local.lock", stop, waiting):
            yield

    def ports(self, server: str) -> dict[str, int]:
        """The ports that the server had last."""
        path = self.folder(server) / "ports.json"
        return dict(json.loads(path.read_text())) if path.is_file() else {}

    def keep_ports(self, server: str, ports: Mapping[str, int]) -> None:
        """Remember the ports."""
        write_private(self.folder(server) / "ports.json", json.dumps(dict(ports)))

    def running(self, server: str) -> Running | None:
        """The record of the server's last start; its process may be gone."""
        path = self.folder(server) / "process.json"
        if not path.is_file():
            return None
        fields = json.loads(path.read_text())
        return Running(**{**fields, "process": ProcessId(**fields["process"])})

    def keep_running(self, server: str, running: Running) -> None:
        """Record a start."""
        write_private(self.folder(server) / "process.json", json.dumps(asdict(running)))

    def forget_running(self, server: str) -> None:
        """Record a stop."""
        (self.folder(server) / "process.json").unlink(missing_ok=True)

    def turn_log(self, server: str) -> Path:
        """An empty log; the one of the run before is kept beside it."""
        log = self.log(server)
        if log.is_file():
            log.replace(log.with_suffix(".old"))
        return log

    def write_environment(self, exports: Mapping[str, Mapping[str, str]]) -> None:
        """Write the addresses as settings; no file when there is none."""
        if not exports:
            self.environment.unlink(missing_ok=True)
            return
        lines = [
            f"STREAMPROC_{section.upper()}__{name.upper()}={value}\n"
            for section, values in exports.items()
            for name, value in values.items()
        ]
        write_private(self.environment, "".join(["# Written by `streamproc up`.\n", *lines]))

    def wipe(self) -> None:
        """Remove data, logs, ports and keys of all local servers."""
        if (self.root / "local").is_dir():
            shutil.rmtree(self.root / "local")
