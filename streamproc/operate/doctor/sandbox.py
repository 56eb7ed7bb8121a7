"""The sandbox that recordings are decoded in: what this kernel lets a child give up."""

import time
from contextlib import closing
from multiprocessing.connection import wait

from streamproc.arena import Arena
from streamproc.audio.pool import DecoderPool
from streamproc.operate.doctor.check import Check
from streamproc.operate.doctor.finding import Finding, doubtful, well
from streamproc.settings import AudioSettings, Settings

FULL = "full"
WITHIN_S = 60.0
"""A child says hello after 0.4 s of an idle core."""


def check(settings: Settings) -> Check:
    """Starts one decoder child, and ends it."""
    return Check(
        "sandbox",
        "Does a decoder child start, and which level of the sandbox does it reach?",
        lambda: _look(settings.audio),
        "Raise audio.decoder_memory_bytes, or look at what the child says on stderr.",
        WITHIN_S,
    )


def _look(audio: AudioSettings) -> Finding:
    with closing(Arena(1)) as arena, closing(DecoderPool(arena, audio.model_copy(update={"decoders": 1}))) as pool:
        pool.start(time.monotonic())
        while pool.sandbox is None:
            wait(pool.filenos(), 1.0)
            pool.take(time.monotonic())
        level = pool.sandbox
    if level == FULL:
        return well(f"level {level}: no files, sockets or processes, bounded memory and time")
    return doubtful(
        f"level {level}: bounded memory and time, but no seccomp",
        "Use a kernel with CONFIG_SECCOMP_FILTER on x86-64 or aarch64, and a container runtime that does not forbid "
        "prctl: a hostile file would else be held by limits alone.",
    )
