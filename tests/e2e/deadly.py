"""A worker that dies of planted recordings, or its decoders do, each time: ``python -m tests.e2e.deadly``.

What kills a device process is in ``deadly_engine``. Here the ports are wrapped, since no file is known that ends our
own decoders.
"""

import os
import signal

from streamproc import wiring
from streamproc.audio.pool import DecoderPool
from streamproc.records.decoding import DecodeJob
from streamproc.records.stored import StoredObject
from streamproc.settings import load_settings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.voice import configure_log

KILLS_DECODER = b"this one ends its decoder"
KILLS_WORKER = b"this one ends its worker"
"""At the end of a file, where no decoder reads any more."""


class DeadlyStore(S3Store):
    """Fetches something that the worker does not survive."""

    def get(self, bucket: str, key: str, version_id: str | None, most: int) -> StoredObject:
        stored = super().get(bucket, key, version_id, most)
        if stored.body.endswith(KILLS_WORKER):
            os.kill(os.getpid(), signal.SIGKILL)
        return stored


class DeadlyDecoders(DecoderPool):
    """Hands out something that a child does not survive."""

    def submit(self, job: DecodeJob) -> None:
        super().submit(job)
        if job.body.endswith(KILLS_DECODER):
            [child] = (one for one in self._decoders if one.job == job.job)
            os.kill(child._process.pid, signal.SIGSEGV)


if __name__ == "__main__":
    wiring.S3Store, wiring.DecoderPool = DeadlyStore, DeadlyDecoders  # type: ignore[attr-defined]  # here alone
    settings = load_settings()
    configure_log(settings.log)
    wiring.run_worker(settings)
