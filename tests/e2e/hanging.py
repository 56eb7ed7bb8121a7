"""A worker whose store never answers for planted objects, whatever its time-outs: ``python -m tests.e2e.hanging``."""

import threading

from streamproc import wiring
from streamproc.records.stored import StoredObject
from streamproc.settings import load_settings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.voice import configure_log

HANGS = "hangs"


class HangingStore(S3Store):
    """Has a client whose time-outs do not work."""

    def get(self, bucket: str, key: str, version_id: str | None, most: int) -> StoredObject:
        if HANGS in key:
            threading.Event().wait()
        return super().get(bucket, key, version_id, most)


if __name__ == "__main__":
    wiring.S3Store = HangingStore  # type: ignore[attr-defined]  # here alone
    settings = load_settings()
    configure_log(settings.log)
    wiring.run_worker(settings)
