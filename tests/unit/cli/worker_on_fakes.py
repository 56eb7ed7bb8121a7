"""A program: ``streamproc worker`` as it is, with Kafka as it is, on fakes of everything else."""

import sys
from contextlib import ExitStack

from streamproc import cli, wiring
from streamproc.arena import Arena
from streamproc.dedupe.aliases import MemoryAliases
from streamproc.dedupe.memory import MemoryTier
from streamproc.kafka.skew import Skew
from streamproc.kafka.slot import Slot
from streamproc.patience import Patience
from streamproc.settings import Settings
from streamproc.telemetry.clock import Clock
from streamproc.telemetry.metrics import Metrics
from streamproc.testing.codec import JsonEvents, JsonRows
from streamproc.testing.newest import MemoryNewest
from streamproc.testing.store import MemoryStore
from streamproc.worker.runtime import Parts, Runtime
from streamproc.worker.threads import ThreadHost
from tests.unit.worker.test_runtime import Decoders, Device


def build(
    settings: Settings, slot: Slot, clock: Clock, metrics: Metrics, stack: ExitStack, patience: Patience
) -> Runtime:
    del stack, patience  # nothing here is closed, or waited for
    arena = Arena(8)
    source = wiring.SourceOpener(settings)
    sink = wiring.open_sink(settings, slot, source, Skew(metrics.clock_skew_seconds.set, clock.wall_ms))
    parts = Parts(
        arena,
        Decoders(arena),
        Device(arena),
        source,
        sink,
        MemoryNewest(),
        JsonEvents(),
        JsonRows(),
        MemoryStore(),
        MemoryTier(1_000_000),
        MemoryAliases(1_000_000),
        None,
        None,
        str(slot.number),
    )
    return Runtime(settings, parts, ThreadHost(metrics.sheets), clock, metrics)


wiring.build_worker = build
sys.argv = ["streamproc", "worker"]
cli.main()
