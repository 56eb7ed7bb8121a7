"""The object store: the buckets, and what the keys may do there."""

from contextlib import closing

from streamproc.errors import Cause, DependencyDownError, StoreError
from streamproc.operate.doctor.check import Check, unknown_host
from streamproc.operate.doctor.finding import Finding, well, wrong
from streamproc.operate.doctor.wire import wire_of
from streamproc.settings import Settings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import Clock

TRIAL = "streamproc-doctor"
"""A key that nobody has: it is read, and tried to be written."""
_AWAY = frozenset({Cause.CONNECTION, Cause.TIMEOUT, Cause.SERVER_ERROR, Cause.SHORT_BODY})
_KEYS = "Check storage.access_key, storage.secret_key, storage.region, and this computer's clock"


def check(settings: Settings, clock: Clock) -> Check:
    """Each right is tried; nothing is stored."""
    storage = settings.storage
    return Check(
        "store",
        "Are the buckets there, and may the keys read them and write to storage.bucket?",
        lambda: _look(settings, clock),
        "Start the object store, or set storage.endpoint to its own.",
        2 * (storage.connect_timeout_s + storage.read_timeout_s) + 20,
        unknown_host("storage.endpoint"),
        wire_of("storage.endpoint", storage.endpoint),
    )


def _look(settings: Settings, clock: Clock) -> Finding:
    buckets = sorted(settings.storage.buckets | {settings.storage.bucket})
    for bucket in buckets:
        storage = settings.storage.model_copy(update={"bucket": bucket})
        with closing(S3Store(storage, 1, clock)) as store:
            try:
                problem = _try(store, bucket, writing=bucket == settings.storage.bucket)
            except StoreError as error:
                if error.cause in _AWAY:
                    raise DependencyDownError("object store", error.detail) from None
                raise
        if problem is not None:
            return problem
    return well(f"{', '.join(buckets)} at {settings.storage.endpoint}: read and write")


def _try(store: S3Store, bucket: str, *, writing: bool) -> Finding | None:
    try:
        store.probe()
    except StoreError as error:
        if error.cause is Cause.MISSING:
            return wrong(f"bucket {bucket} is not there", "Make it, or set storage.bucket and storage.allowed_buckets.")
        if error.cause is Cause.DENIED:
            return wrong(f"the keys are refused ({error.detail})", f"{_KEYS}; they need s3:ListBucket on {bucket}.")
        raise
    try:
        store.tags(bucket, TRIAL, None)
    except StoreError as error:
        if error.cause is Cause.DENIED:
            return wrong(
                f"in {bucket} an object that is not there is refused as if it were secret ({error.detail})",
                f"Grant s3:GetObject on {bucket}/* and s3:ListBucket on {bucket}: a recording announced a moment too "
                "early would else become a dead letter.",
            )
        if error.cause is not Cause.MISSING:
            raise
    if not writing:
        return None
    try:
        store.try_put(bucket, TRIAL)
    except StoreError as error:
        if error.cause is Cause.DENIED:
            return wrong(
                f"nothing may be stored in {bucket} ({error.detail})",
                f"Grant s3:PutObject on {bucket}/*: timelines, embeddings and dead letters too large for a topic go "
                "there.",
            )
        raise
    return None
