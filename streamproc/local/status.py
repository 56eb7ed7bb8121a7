"""What is known of a local server."""

import time
from dataclasses import dataclass
from typing import Literal

import psutil

from streamproc.local.process import ProcessId, alive
from streamproc.local.server import Place, Recipe
from streamproc.local.state import State


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """One row of ``streamproc status``; only ``name``, ``state`` and ``address`` are known of an own server."""

    name: str
    state: Literal["running", "not_answering", "stopped", "own"]
    address: str | None = None
    pid: int | None = None
    memory_bytes: int | None = None
    """Resident memory of the process and its children."""
    version: str | None = None
    uptime_s: float | None = None
    log: str | None = None


def memory(process: ProcessId) -> int | None:
    """Resident bytes of a process and its children, None when it is gone."""
    try:
        leader = psutil.Process(process.pid)
        return sum(member.memory_info().rss for member in (leader, *leader.children(recursive=True)))
    except psutil.NoSuchProcess:
        return None


def look(recipe: Recipe, state: State) -> ServerStatus:
    """The state of a server of ours."""
    running = state.running(recipe.name)
    if running is None or not alive(running.process):
        return ServerStatus(recipe.name, "stopped")
    place = Place(state.folder(recipe.name), running.ports)
    return ServerStatus(
        name=recipe.name,
        state="running" if recipe.answers(place) else "not_answering",
        address=place.address,
        pid=running.process.pid,
        memory_bytes=memory(running.process),
        version=running.version,
        uptime_s=round(time.time() - running.started_at, 1),
        log=str(state.log(recipe.name)),
    )
