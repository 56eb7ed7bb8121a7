"""The device: a device process is started as a worker does it, and ended when it is warm."""

import time
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

from streamproc.arena import Arena
from streamproc.cores import cores
from streamproc.emotion.device import DeviceProcess
from streamproc.emotion.directory import find_directory
from streamproc.errors import FatalError, UsageError
from streamproc.operate.doctor.check import Check
from streamproc.operate.doctor.finding import Finding, unknown, well
from streamproc.records.compute import DeviceDied, DeviceReady
from streamproc.records.identity import ModelIdentity
from streamproc.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class Warm:
    """What the network said of itself once it was warm; never, where it was not."""

    model: ModelSettings
    cache: Path
    """Where pulled models are."""
    identity: "Future[ModelIdentity]" = field(default_factory=Future)


def check(warm: Warm) -> Check:
    """Whoever waits for the identity hears of it, or of why there is none."""
    return Check(
        "device",
        "Does the network get warm on model.device, in model.precision?",
        lambda: _look(warm),
        "Set model.device, model.precision and model.name_or_dir to what goes together; log lines above may say more.",
        warm.model.load_s,
    )


def _look(warm: Warm) -> Finding:
    try:
        directory = find_directory(warm.model.name_or_dir, warm.cache)
    except BaseException as error:
        warm.identity.set_exception(error)
        if not isinstance(error, UsageError) or ":" in warm.model.engine:  # then nobody else has told of it
            raise
        return unknown("there is no such model, as said of it")
    try:
        began = time.monotonic()
        identity = _warm_up(warm.model.model_copy(update={"name_or_dir": str(directory)}))
        seconds = time.monotonic() - began
    except BaseException as error:
        warm.identity.set_exception(error)
        raise
    warm.identity.set_result(identity)
    threads = warm.model.threads or cores()
    return well(
        f"{warm.model.device}, {identity.precision}: {identity.name} is warm after {seconds:.1f} s",
        f"weights sha256 {identity.weights_sha256[:12]}, {len(identity.labels)} labels, {threads} CPU threads",
    )


def _warm_up(model: ModelSettings) -> ModelIdentity:
    with closing(Arena(1)) as arena, closing(DeviceProcess(model, arena)) as device:
        device.start()
        while True:
            wait([device.fileno()], 1.0)
            for event in device.take(time.monotonic()):
                match event:
                    case DeviceReady(identity):
                        return identity
                    case DeviceDied(_, detail):
                        raise FatalError(f"{detail} before it was warm")
