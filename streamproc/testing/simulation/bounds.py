"""What a living worker may hold (G6)."""

import json
from collections.abc import Mapping
from typing import Any

from streamproc.testing.simulation.process import WorkerProcess
from streamproc.testing.simulation.violation import Violation
from streamproc.testing.simulation.world import World

_TAKEN_S = 1.0
"""Far longer than the loop takes to look at an answer."""


def check_bounds(world: World) -> None:
    """Check what every living worker holds."""
    flow = world.settings.flow
    # What is longer than its event says, or than everything together may be, is in flight all the same.
    long_ms = sum(json.loads(one.body or b"")["ms"] for one in world.sent.values() if one.long)
    most = {
        "micro_batches": flow.micro_batches,
        "records": flow.micro_batches * flow.micro_batch_records,
        "bytes": flow.in_flight_bytes,
        "audio_ms": round(1000 * flow.in_flight_audio_s) + long_ms,
    }
    for process in world.processes():
        held: Any = process.runtime.status()["in_flight"]
        over = {name: number for name, number in held.items() if number > most[name]}
        if over:
            raise Violation("G6", f"{process.name} has {over} in flight, at most {most} are allowed")
        _check_of_nothing(process, held, world.fibers.now)


def _check_of_nothing(process: WorkerProcess, held: Mapping[str, int], now: float) -> None:
    """Check that credit is given back. What is fetched for a lost record has it until the loop has taken the answer."""
    kept = held and not held["records"] and (held["bytes"] or held["audio_ms"])
    if not kept or process.store.under_way or process.frozen:
        process.holds_nothing_since = None
    elif process.holds_nothing_since is None:
        process.holds_nothing_since = now
    elif now - process.holds_nothing_since > _TAKEN_S:
        raise Violation("G6", f"{process.name} holds {held['bytes']} bytes, {held['audio_ms']} ms of no record")
