"""Addresses and signatures of S3 requests, by the minio library's own functions.

The signature goes into headers and not into the address, so that no log of a server and no text of an error holds
something that could be used again.
"""

import hashlib
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from minio.credentials.credentials import Credentials
from minio.helpers import BaseURL, check_bucket_name, check_object_name
from minio.signer import sign_v4_s3

from streamproc.errors import UsageError
from streamproc.settings import StorageSettings
from streamproc.telemetry.clock import Clock


class SignedRequest(NamedTuple):
    """Where to send a request, and with which headers."""

    url: str
    headers: dict[str, str]


class Signer:
    """Builds requests for one endpoint. Thread-safe: it holds nothing that changes."""

    def __init__(self, settings: StorageSettings, clock: Clock) -> None:
        """Without an access key, requests stay unsigned: a public bucket.

        Raises UsageError for an endpoint that is not ``http(s)://host[:port]``, a region or half a key.
        """
        address = urlsplit(settings.endpoint)
        if address.scheme not in ("http", "https") or not address.hostname or address.path.strip("/") or address.query:
            raise UsageError("storage.endpoint is not http(s)://host[:port] and nothing more")
        if address.username is not None:
            raise UsageError("storage.endpoint names a user; set storage.access_key and storage.secret_key instead")
        access, secret = settings.access_key.get_secret_value(), settings.secret_key.get_secret_value()
        if bool(access) != bool(secret):
            raise UsageError("storage.access_key and storage.secret_key go together")
        self._credentials = Credentials(access, secret) if access else None
        self._region = settings.region
        self._clock = clock
        try:
            self._base = BaseURL(f"{address.scheme}://{address.netloc}", settings.region)
        except ValueError as error:
            raise UsageError(f"storage.endpoint and storage.region are not of S3: {error}") from None

    def sign(
        self,
        method: str,
        bucket: str,
        key: str | None = None,
        version_id: str | None = None,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> SignedRequest:
        """A request about an object, or about the bucket when ``key`` is None.

        Raises ValueError for a name that no object or bucket can have.
        """
        check_bucket_name(bucket, s3_check=self._base.is_aws_host)
        if key is not None:
            check_object_name(key)
        url = self._base.build(
            method=method,
            region=self._region,
            bucket_name=bucket,
            object_name=key,
            query_params={"versionId": version_id} if version_id else None,
        )
        signed = {**(headers or {}), "Host": url.netloc}
        if self._credentials is not None:
            now = datetime.fromtimestamp(self._clock.wall_ms() / 1000, UTC)
            digest = hashlib.sha256(body).hexdigest()
            signed |= {"x-amz-content-sha256": digest, "x-amz-date": now.strftime("%Y%m%dT%H%M%SZ")}
            result = sign_v4_s3(
                method=method,
                url=url,
                region=self._region,
                headers=dict(signed),
                credentials=self._credentials,
                content_sha256=digest,
                date=now,
            )
            signed["Authorization"] = str(result["Authorization"])
        return SignedRequest(urlunsplit(url), signed)
