"""The tier that keeps analyses for long: objects in the bucket, under their content keys."""

from collections.abc import Callable
from typing import Protocol

from streamproc.dedupe.breaker import Breaker, BreakerPolicy
from streamproc.errors import Cause, StoreError, TierError
from streamproc.records.analysis import Analysis
from streamproc.records.identity import object_name
from streamproc.records.stored import StoredObject
from streamproc.telemetry.clock import Clock
from streamproc.telemetry.log import get_log
from streamproc.telemetry.metrics import Metrics, TierFault

MOST_VALUE_BYTES = 8 * 1024 * 1024
NAME = "analysis.bin"
POLICY = BreakerPolicy()

_log = get_log(__name__)


class Objects(Protocol):
    """What it needs of the object store."""

    def get(self, bucket: str, key: str, version_id: str | None, most: int) -> StoredObject:
        """Fetch a whole object of at most ``most`` bytes. Raises StoreError."""
        ...

    def put(self, bucket: str, key: str, body: bytes, content_type: str, /) -> object:
        """Store an object. Raises StoreError."""
        ...


class ArchiveTier:
    """Analyses by content key, one object each. Methods block and may be called from any thread.

    Each error of the store but a missing object counts in ``tier_errors``, and all but one that is too large raise
    TierError; after three in a row
    calls are refused at once for five seconds, then one of them tries.
    """

    def __init__(
        self,
        objects: Objects,
        bucket: str,
        encode: Callable[[Analysis], bytes],
        decode: Callable[[bytes], Analysis],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """``decode`` raises ValueError for bytes that it does not know."""
        self._objects = objects
        self._bucket = bucket
        self._encode = encode
        self._decode = decode
        self._clock = clock
        self._metrics = metrics
        self._breaker = Breaker(POLICY)

    def get(self, key: str) -> Analysis | None:
        """What is known of a content key. Raises TierError.

        What does not verify, or is larger than any that is written, is unknown, logged and counted.
        """
        self._check()
        try:
            stored = self._objects.get(self._bucket, object_name(key, NAME), None, MOST_VALUE_BYTES)
        except StoreError as error:
            if error.cause is Cause.MISSING:
                self._breaker.succeeded()
                return None
            if error.cause is Cause.TOO_LARGE:
                self._too_large(key)
                return None
            raise self._failed(error) from None
        self._breaker.succeeded()
        try:
            return self._decode(stored.body)
        except ValueError:
            _log.warning("a value in the archive does not verify", detail=f"{self._bucket}/{object_name(key, NAME)}")
            self._metrics.tier_errors[TierFault.CORRUPT].inc()
            return None

    def put(self, key: str, analysis: Analysis) -> None:
        """Keep an analysis. Raises TierError. One that is too large to be read again is counted, not kept."""
        body = self._encode(analysis)
        if len(body) > MOST_VALUE_BYTES:
            self._metrics.tier_errors[TierFault.TOO_LARGE].inc()
            return
        self._check()
        try:
            self._objects.put(self._bucket, object_name(key, NAME), body, "application/octet-stream")
        except StoreError as error:
            raise self._failed(error) from None
        self._breaker.succeeded()

    def _too_large(self, key: str) -> None:
        """What nobody of us wrote. The store is well: it answered."""
        self._breaker.succeeded()
        _log.warning("a value in the archive is too large", detail=f"{self._bucket}/{object_name(key, NAME)}")
        self._metrics.tier_errors[TierFault.TOO_LARGE].inc()

    def _check(self) -> None:
        if not self._breaker.allows(self._clock.monotonic()):
            self._metrics.tier_errors[TierFault.UNAVAILABLE].inc()
            raise TierError("the archive failed several times in a row and is left alone for a while")

    def _failed(self, error: StoreError) -> TierError:
        self._metrics.tier_errors[TierFault.UNAVAILABLE].inc()
        if self._breaker.failed(self._clock.monotonic()):
            _log.warning("the archive is left alone for a while, work goes on without it", detail=error.detail)
        return TierError(f"archive: {error.cause}")
