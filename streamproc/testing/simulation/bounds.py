"""What a living worker may hold (G6), counted by those who gave it, and how long it may hold a revoke up."""

from typing import Any

from streamproc.records.record import TopicPartition
from streamproc.testing.simulation.heard import Heard
from streamproc.testing.simulation.process import WorkerProcess
from streamproc.testing.simulation.violation import Violation
from streamproc.testing.simulation.world import World

_TAKEN_S = 1.0
"""Far longer than the loop takes to look at an answer."""
_CLOSE_S = 1e-6


def check_bounds(world: World) -> None:
    """Check what every living worker holds."""
    for process in world.processes():
        held = records_held(world, process.heard)
        _check_records(world, process, held)
        _check_memory(world, process)
        _check_of_nothing(process, sum(held.values()), world.fibers.now)
        _check_revoke(world, process)
        if over := process.device.passes_over:
            raise Violation("G5", f"{process.name} ran {over} passes more than the broken waveforms may cost")


def records_held(world: World, heard: Heard | None) -> dict[TopicPartition, int]:
    """How many records of each partition a worker was given, and neither committed nor gave back."""
    if heard is None:
        return {}
    group = world.settings.kafka.group
    found = {}
    for place, offsets in heard.polled.items():
        if offsets and (committed := world.servers.broker.committed(group, place)) is not None:
            offsets.difference_update([offset for offset in offsets if offset < committed.offset])
        found[place] = len(offsets)
    return found


def _check_records(world: World, process: WorkerProcess, held: dict[TopicPartition, int]) -> None:
    """Whatever a worker polls it holds: on its way, waiting for its turn, or parked until it is due."""
    limits, lanes = world.limits, world.settings.topics.lanes
    # A partition that is assigned in a poll that was there to serve the group alone is not paused yet: one record each.
    most_input = limits.input_records + sum(place.topic not in lanes for place in held)
    most = limits.input_records + len(held) + sum(limits.lane_records for place in held if place.topic in lanes)
    of_input = sum(count for place, count in held.items() if place.topic not in lanes)
    if of_input > most_input or sum(held.values()) > most:
        found = {str(place): count for place, count in held.items()}
        raise Violation(
            "G6", f"{process.name} holds records {found}, at most {most_input} of the input and {most} in all"
        )


def _check_memory(world: World, process: WorkerProcess) -> None:
    limits, loans, audio_ms = world.limits, process.store.loans, process.arena.audio_ms
    if loans.size - loans.over > limits.size:
        raise Violation(
            "G6", f"{process.name} holds {loans.size} bytes, at most {limits.size + loans.over} are allowed"
        )
    if audio_ms > limits.audio_ms:
        raise Violation("G6", f"{process.name} holds {audio_ms} ms of audio, at most {limits.audio_ms} are allowed")


def _check_revoke(world: World, process: WorkerProcess) -> None:
    took_s, most_s = 0.0 if process.heard is None else process.heard.revoke_s, world.limits.revoke_s
    world.longest_revoke_s = max(world.longest_revoke_s, took_s)
    if took_s > most_s + _CLOSE_S:
        raise Violation("G7", f"{process.name} held a revoke up for {took_s:.3f} s, {most_s:g} s are allowed")


def _check_of_nothing(process: WorkerProcess, records: int, now: float) -> None:
    """Check that what is held, and the credit for it, is given back; for a lost record once the loop has the answer."""
    said: Any = process.runtime.status()["in_flight"]
    credit = bool(said) and not said["records"] and bool(said["bytes"] or said["audio_ms"])
    really = not records and (process.store.loans.size > 0 or (process.arena.audio_ms > 0 and not process.device.holds))
    # A member that was taken out waits in its revoke for what is on the device: `_check_revoke` bounds that. And who
    # leaves has given its records back before it has left: what it computes for them nobody takes any more.
    heard = process.heard
    on_its_way = heard is not None and (heard.revoking or heard.leaving)
    # What a probe holds was handed over by nobody.
    really = really and not process.runtime.brake.get("on")
    if not (credit or really) or process.store.under_way or process.frozen or on_its_way:
        process.holds_nothing_since = None
    elif process.holds_nothing_since is None:
        process.holds_nothing_since = now
    elif now - process.holds_nothing_since > _TAKEN_S:
        raise Violation(
            "G6",
            f"{process.name} holds {process.store.loans.size} bytes, {process.arena.audio_ms} ms of audio and "
            f"credit for {said} of no record",
        )
