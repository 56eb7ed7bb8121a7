"""Bring one server to the point where it answers, or say why not."""

import time
from collections.abc import Mapping

from streamproc.local.failure import LocalError, StoppedError
from streamproc.local.process import ProcessId, alive, listens, spawn, stop
from streamproc.local.server import MAIN, Place, Recipe
from streamproc.local.state import Running, State
from streamproc.local.toolbox import Toolbox, clean_environment
from streamproc.settings import Settings

READY_S = 90
"""A server that does not answer by then will not. Measured: 2 to 5 s, and 8 s on a busy machine of two cores."""
GRACE_S = 20
"""How long a server may take to write its data and end. Measured: at most 2 s."""
POLL_S = 0.05


def await_ready(recipe: Recipe, place: Place, process: ProcessId, box: Toolbox, state: State) -> None:
    """Return once this very process answers. Raises LocalError with the end of its log, StoppedError."""
    log = state.log(recipe.name)
    deadline = time.monotonic() + READY_S
    while not (recipe.answers(place) and listens(process, place.ports[MAIN])):
        if not alive(process):
            raise LocalError(f"{recipe.name} ended while it started", "Its log says why.", log)
        if time.monotonic() > deadline:
            raise LocalError(
                f"{recipe.name} does not answer at {place.address} after {READY_S} s",
                "Its log may say why; on a very busy machine, try again.",
                log,
            )
        if box.stop.wait(POLL_S):
            raise StoppedError


def keep(recipe: Recipe, box: Toolbox, state: State) -> Place | None:
    """The place of a server that runs already, None if it does not. One that hangs is stopped."""
    running = state.running(recipe.name)
    if running is None or not alive(running.process):
        return None
    place = Place(state.folder(recipe.name), running.ports)
    try:
        await_ready(recipe, place, running.process, box, state)
    except StoppedError:
        raise
    except LocalError:
        stop(running.process, GRACE_S, running.stop_signal)
        return None
    box.report(recipe.name, f"runs already at {place.address}")
    return place


def start(recipe: Recipe, ports: Mapping[str, int], box: Toolbox, state: State, settings: Settings) -> Place:
    """Start a server and wait until it answers. If it does not, nothing of it is left running."""
    place = Place(state.folder(recipe.name), ports)
    server = recipe.describe(box, place, settings)
    if box.stop.is_set():
        raise StoppedError
    began = time.monotonic()
    process = spawn(server.command, clean_environment(server.environment), state.turn_log(recipe.name))
    try:
        state.keep_running(recipe.name, Running(server.version, ports, time.time(), process, server.stop_signal))
        await_ready(recipe, place, process, box, state)
    except BaseException:  # without its record nobody would find the process again
        stop(process, GRACE_S, server.stop_signal)
        state.forget_running(recipe.name)
        raise
    state.keep_ports(recipe.name, ports)
    box.report(recipe.name, f"ready at {place.address} after {time.monotonic() - began:.1f} s")
    return place


def halt(server: str, state: State) -> bool:
    """Stop a server of ours; whether it ran."""
    running = state.running(server)
    ran = running is not None and alive(running.process)
    if running is not None:
        stop(running.process, GRACE_S, running.stop_signal)
    state.forget_running(server)
    return ran
