"""The object store over the S3 API.

The minio library names and signs; the requests are ours, through one urllib3 pool, because the library's client reads
bodies of errors without a bound, decodes them and knows no deadline. Nothing is retried and no redirect is followed:
the first is the stages' decision, and the endpoint is the deployment's.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from io import BytesIO

from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import HTTPError

from streamproc.errors import Cause, StoreError
from streamproc.records.stored import StoredObject, Tags
from streamproc.settings import StorageSettings, without_credentials
from streamproc.storage.body import read_body, read_start
from streamproc.storage.causes import from_exception, from_response
from streamproc.storage.signing import Signer
from streamproc.telemetry.clock import Clock

_ERROR_BYTES = 16 * 1024
"""An S3 error is under 1 KiB; more of a body is not looked at."""
_DEFAULT_REGION = "us-east-1"
"""The one region that S3 wants unnamed when a bucket is made."""
_TRIAL = b"trial"
_OTHER_MD5 = "1B2M2Y8AsgTpgAmY7PhCfg=="
"""Of no bytes at all."""
_DAMAGED = " BadDigest"
"""What S3 says of a body that is not the one of its digest (API reference, error codes)."""
_LOCATION = (
    '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
    "<LocationConstraint>{}</LocationConstraint></CreateBucketConfiguration>"
)


class S3Store:
    """One S3 endpoint; every method blocks and may be called from any thread."""

    def __init__(self, settings: StorageSettings, connections: int, clock: Clock) -> None:
        """Open nothing yet. ``connections`` is how many are kept for reuse: the number of threads that call.

        Raises UsageError for an endpoint that cannot be one.
        """
        self._address = without_credentials(settings.endpoint)
        self._bucket = settings.bucket
        self._region = settings.region
        self._object_timeout_s = settings.object_timeout_s
        self._clock = clock
        self._signer = Signer(settings, clock)
        self._pool = PoolManager(
            maxsize=connections,
            timeout=Timeout(connect=settings.connect_timeout_s, read=settings.read_timeout_s),
            retries=False,
        )

    def get(self, bucket: str, key: str, version_id: str | None, most: int) -> StoredObject:
        """Fetch a whole object of at most ``most`` bytes, undecoded. Raises StoreError."""
        what = _name(bucket, key)
        deadline = self._clock.monotonic() + self._object_timeout_s
        with self._request("GET", bucket, key, version_id) as response:
            declared = response.length_remaining
            body = read_body(response, what, most, deadline, self._clock)
            tags = _tags(response)
        if declared is None:
            declared = self._length(bucket, key, version_id)
        if declared != len(body):
            raise StoreError(Cause.SHORT_BODY, f"{what}: {len(body)} bytes came, the store says {declared}")
        if not body:
            raise StoreError(Cause.EMPTY, f"{what}: 0 bytes")
        return StoredObject(body, tags.etag, tags.version_id)

    def put(self, bucket: str, key: str, body: bytes, content_type: str) -> Tags:
        """Store an object; the store checks its SHA-256, which is signed. Raises StoreError."""
        with self._request("PUT", bucket, key, body=body, headers={"Content-Type": content_type}) as response:
            return _tags(response)

    def tags(self, bucket: str, key: str, version_id: str | None) -> Tags:
        """What the store calls an object's bytes just now, by HEAD. Raises StoreError."""
        with self._request("HEAD", bucket, key, version_id) as response:
            return _tags(response)

    def probe(self) -> None:
        """The canary: HEAD of ``storage.bucket``. Raises StoreError when the store cannot be used."""
        with self._request("HEAD", self._bucket):
            pass

    def try_put(self, bucket: str, key: str) -> None:
        """Find out whether an object may be stored, and store none: the store has to refuse what is damaged on its way.

        It looks at rights first. Raises StoreError for any other refusal, and where it takes the damaged one.
        """
        try:
            with self._request("PUT", bucket, key, body=_TRIAL, headers={"Content-MD5": _OTHER_MD5}):
                pass
        except StoreError as error:
            if error.detail.endswith(_DAMAGED):
                return
            raise
        raise StoreError(Cause.CHANGED, f"{_name(bucket, key)} was stored although its digest is another's; remove it")

    def ensure_bucket(self, bucket: str) -> None:
        """Make the bucket unless it is there. Raises StoreError."""
        if self._has_bucket(bucket):
            return
        location = "" if self._region == _DEFAULT_REGION else _LOCATION.format(self._region)
        try:
            with self._request("PUT", bucket, body=location.encode()):
                pass
        except StoreError:
            if not self._has_bucket(bucket):  # else somebody was faster
                raise

    def close(self) -> None:
        """Drop the connections that are kept."""
        self._pool.clear()

    def _has_bucket(self, bucket: str) -> bool:
        try:
            with self._request("HEAD", bucket):
                return True
        except StoreError as error:
            if error.cause is Cause.MISSING:
                return False
            raise

    def _length(self, bucket: str, key: str, version_id: str | None) -> int | None:
        with self._request("HEAD", bucket, key, version_id) as response:
            length = response.headers.get("Content-Length", "")
            return int(length) if length.isdigit() else None

    @contextmanager
    def _request(
        self,
        method: str,
        bucket: str,
        key: str | None = None,
        version_id: str | None = None,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> Iterator[BaseHTTPResponse]:
        """A response of status 200. Its connection is kept when the body was read to its end, else closed."""
        what = _name(bucket, key)
        try:
            url, signed = self._signer.sign(method, bucket, key, version_id, body, headers)
        except ValueError as error:
            raise from_exception(what, error) from None
        source = None
        if method == "PUT":
            # A file is sent block by block, each under the socket's time limit; bytes would have to go within it.
            source = BytesIO(body)
            signed = {**signed, "Content-Length": str(len(body))}
        try:
            response = self._pool.urlopen(
                method, url, redirect=False, retries=False, preload_content=False, body=source, headers=signed
            )
            try:
                if response.status != HTTPStatus.OK:
                    raise from_response(what, response.status, read_start(response, _ERROR_BYTES))
                yield response
            finally:
                response.close()
                response.release_conn()
        except HTTPError as error:
            raise from_exception(f"{what} at {self._address} (storage.endpoint)", error) from None


def _name(bucket: str, key: str | None) -> str:
    return f"bucket {bucket!r}" if key is None else f"{bucket!r}/{key!r}"


def _tags(response: BaseHTTPResponse) -> Tags:
    etag = response.headers.get("ETag")
    return Tags(etag.strip('"') if etag else None, response.headers.get("x-amz-version-id"))
