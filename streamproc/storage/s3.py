"""The object store over the S3 API.

The minio client signs; requests go through one urllib3 pool of ours, because the client reads bodies of errors
without a bound and has no deadline. Nothing is retried and no redirect is followed: that is the stages' decision,
and the endpoint is the deployment's.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from io import BytesIO
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

from minio import Minio
from minio.error import MinioException, S3Error
from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import HTTPError

from streamproc.errors import Cause, StoreError, UsageError
from streamproc.records.stored import StoredObject
from streamproc.settings import StorageSettings
from streamproc.storage.body import read_body, read_start
from streamproc.storage.causes import from_exception, from_response
from streamproc.telemetry.clock import Clock

_SIGNATURE_LIFE = timedelta(minutes=5)
"""A signed address is used at once; the time covers clocks that differ, within S3's own 15 minutes."""
_ERROR_BYTES = 16 * 1024
"""An S3 error is under 1 KiB; more of a body is not looked at."""
_CLIENT_ERRORS = (MinioException, HTTPError, ParseError, ValueError)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the store says of an object that it took."""

    etag: str | None
    version_id: str | None


class S3Store:
    """One S3 endpoint; every method blocks and may be called from any thread."""

    def __init__(self, settings: StorageSettings, connections: int, clock: Clock) -> None:
        """Open nothing yet. ``connections`` is how many are kept for reuse: the number of threads that call.

        Raises UsageError for an endpoint that is not ``http(s)://host[:port]``.
        """
        self._bucket = settings.bucket
        self._object_timeout_s = settings.object_timeout_s
        self._clock = clock
        address = urlsplit(settings.endpoint)
        if address.scheme not in ("http", "https") or not address.hostname or address.path.strip("/") or address.query:
            raise UsageError("storage.endpoint is not http(s)://host[:port] and nothing more")
        if address.username is not None:
            raise UsageError("storage.endpoint names a user; set storage.access_key and storage.secret_key instead")
        self._pool = PoolManager(
            maxsize=connections,
            timeout=Timeout(connect=settings.connect_timeout_s, read=settings.read_timeout_s),
            retries=False,
        )
        self._minio = Minio(
            endpoint=address.netloc,
            access_key=settings.access_key.get_secret_value(),
            secret_key=settings.secret_key.get_secret_value(),
            secure=address.scheme == "https",
            region=settings.region,
            http_client=self._pool,
        )

    def get(self, bucket: str, key: str, version_id: str | None, most: int) -> StoredObject:
        """Fetch a whole object of at most ``most`` bytes, undecoded. Raises StoreError."""
        what = _name(bucket, key)
        deadline = self._clock.monotonic() + self._object_timeout_s
        with self._request("GET", bucket, key, version_id) as response:
            declared = response.length_remaining
            body = read_body(response, what, most, deadline, self._clock)
            etag, version = _tags(response)
        if declared is None:
            declared = self._length(bucket, key, version_id)
        if declared != len(body):
            raise StoreError(Cause.SHORT_BODY, f"{what}: {len(body)} bytes came, the store says {declared}")
        if not body:
            raise StoreError(Cause.EMPTY, f"{what}: 0 bytes")
        return StoredObject(body, etag, version)

    def put(self, bucket: str, key: str, body: bytes, content_type: str) -> Receipt:
        """Store an object; the store checks its MD5. Raises StoreError."""
        headers = {
            "Content-Type": content_type,
            "Content-Length": str(len(body)),
            "Content-MD5": base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode(),
        }
        # A file is sent block by block, each under the socket's time limit; bytes would have to go within it at once.
        with self._request("PUT", bucket, key, None, BytesIO(body), headers) as response:
            return Receipt(*_tags(response))

    def probe(self) -> None:
        """The canary: HEAD of ``storage.bucket``. Raises StoreError when the store cannot be used."""
        if not self._has_bucket(self._bucket):
            raise StoreError(Cause.MISSING, f"bucket {self._bucket!r}: does not exist")

    def ensure_bucket(self, bucket: str) -> None:
        """Make the bucket unless it is there. Raises StoreError."""
        if self._has_bucket(bucket):
            return
        try:
            self._minio.make_bucket(bucket)
        except _CLIENT_ERRORS as error:
            if not (isinstance(error, S3Error) and error.code == "BucketAlreadyOwnedByYou"):  # somebody was faster
                raise from_exception(f"bucket {bucket!r}", error) from None

    def close(self) -> None:
        """Drop the connections that are kept."""
        self._pool.clear()

    def _has_bucket(self, bucket: str) -> bool:
        try:
            return self._minio.bucket_exists(bucket)
        except _CLIENT_ERRORS as error:
            raise from_exception(f"bucket {bucket!r}", error) from None

    def _length(self, bucket: str, key: str, version_id: str | None) -> int | None:
        with self._request("HEAD", bucket, key, version_id) as response:
            length = response.headers.get("Content-Length", "")
            return int(length) if length.isdigit() else None

    @contextmanager
    def _request(
        self,
        method: str,
        bucket: str,
        key: str,
        version_id: str | None,
        body: BytesIO | None = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[BaseHTTPResponse]:
        """A response of status 200. Its connection is kept when the body was read to its end, else closed."""
        what = _name(bucket, key)
        url = self._sign(method, bucket, key, version_id)
        try:
            response = self._pool.urlopen(
                method, url, redirect=False, retries=False, preload_content=False, body=body, headers=headers or {}
            )
            try:
                if response.status != HTTPStatus.OK:
                    raise from_response(what, response.status, read_start(response, _ERROR_BYTES))
                yield response
            finally:
                response.close()
                response.release_conn()
        except HTTPError as error:
            # Without its context: the address that urllib3 may name there carries a signature.
            raise from_exception(what, error) from None

    def _sign(self, method: str, bucket: str, key: str, version_id: str | None) -> str:
        try:
            return self._minio.get_presigned_url(method, bucket, key, _SIGNATURE_LIFE, version_id=version_id)
        except ValueError as error:
            raise from_exception(_name(bucket, key), error) from None


def _name(bucket: str, key: str) -> str:
    return f"{bucket!r}/{key!r}"


def _tags(response: BaseHTTPResponse) -> tuple[str | None, str | None]:
    etag = response.headers.get("ETag")
    return etag.strip('"') if etag else None, response.headers.get("x-amz-version-id")
