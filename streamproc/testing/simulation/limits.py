"""What a worker may hold, from its settings and from what is announced to it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from streamproc.arena import SLOT_SECONDS
from streamproc.settings import Settings
from streamproc.testing.simulation.recordings import Announced
from streamproc.worker.poller import SERVE_S

_SLOT_MS = 1000 * SLOT_SECONDS


@dataclass(frozen=True, slots=True)
class Limits:
    """What G6 allows one worker."""

    input_records: int
    """Polled of the input and not committed: full micro-batches, the last of which may still wait for its turn."""
    lane_records: int
    """Polled of one lane's partition and not due: one poll."""
    undeclared: int
    """Bytes that are granted to a recording whose event declares no size."""
    size: int
    """Bytes of objects, but for what recordings of no declared size turn out to have more than was granted."""
    audio_ms: int
    """Audio in slots."""
    revoke_s: float
    """How long a revoke may take: its budget, and one turn of the wait for it."""


def limits(settings: Settings, announced: Iterable[Announced]) -> Limits:
    """Work out what is allowed."""
    flow = settings.flow
    lengths = [json.loads(one.body).get("ms", 0) for one in announced if one.body is not None]
    # One recording can always go on, however long; and one that declares no length can turn out to have any.
    alone = max((ms for ms in lengths if ms <= _SLOT_MS), default=0)
    return Limits(
        input_records=flow.micro_batches * flow.micro_batch_records,
        lane_records=flow.micro_batch_records,
        undeclared=min(settings.audio.max_object_bytes, flow.in_flight_bytes // flow.io_threads),
        size=flow.in_flight_bytes,
        audio_ms=max(round(1000 * flow.in_flight_audio_s), alone) + sum(ms for ms in lengths if ms > _SLOT_MS),
        revoke_s=flow.drain_s + SERVE_S,
    )
