"""All checks, in the order in which they are told."""

from collections.abc import Mapping, Sequence

from streamproc.cache_root import cache_root
from streamproc.operate.doctor import (
    brokers,
    cache,
    clocks,
    connect,
    device,
    disk,
    endpoints,
    group,
    model,
    registry,
    rights,
    sandbox,
    store,
    takeover,
    timeouts,
    topics,
    traces,
    versions,
    warehouse,
)
from streamproc.operate.doctor.check import Check
from streamproc.settings import Settings
from streamproc.telemetry.clock import Clock


def checks(settings: Settings, clock: Clock, environ: Mapping[str, str], grace_s: float | None) -> Sequence[Check]:
    """What ``streamproc doctor`` asks. ``grace_s`` is what a supervisor grants a stop; None where nobody said."""
    warm = device.Warm(settings.model, cache_root(settings.local.cache_dir, environ))
    return (
        versions.check(),
        timeouts.check(settings, grace_s),
        brokers.check(settings),
        takeover.check(settings),
        topics.check(settings),
        rights.check(settings),
        registry.check(settings),
        store.check(settings, clock),
        cache.check(settings, clock),
        clocks.check(settings, clock),
        disk.check(settings),
        endpoints.check(settings),
        traces.check(settings),
        sandbox.check(settings),
        model.check(settings, environ),
        device.check(warm),
        group.check(settings, clock, warm.identity),
        connect.check(settings, clock),
        warehouse.check(settings),
    )
