"""The one table from what S3 and the connection to it say to a ``Cause``.

No text of the server or of a library goes into an error: it could echo what was sent, and is not ours to vouch for.
"""

import re
from collections.abc import Mapping
from http import HTTPStatus
from http.client import IncompleteRead
from types import MappingProxyType

from urllib3.exceptions import (
    HTTPError,
    NewConnectionError,
    ProtocolError,
    TimeoutError,  # noqa: A004  # urllib3's own, which is no OSError
)

from streamproc.errors import Cause, DependencyDownError, StoreError, StreamprocError, UsageError

CODES: Mapping[str, Cause] = MappingProxyType(
    {
        "NoSuchKey": Cause.MISSING,
        "NoSuchVersion": Cause.MISSING,
        # The whole bucket is gone: no object's fault, so the canary must be asked, as for a refusal.
        "NoSuchBucket": Cause.DENIED,
        "PreconditionFailed": Cause.CHANGED,
        "EntityTooLarge": Cause.TOO_LARGE,
        "InvalidArgument": Cause.INVALID_NAME,  # of a GET only the version id can be meant
        "InvalidBucketName": Cause.INVALID_NAME,
        "KeyTooLongError": Cause.INVALID_NAME,
        "XMinioInvalidObjectName": Cause.INVALID_NAME,
        "RequestTimeout": Cause.TIMEOUT,
        "SlowDown": Cause.SERVER_ERROR,
    }
)
"""By the ``Code`` of an S3 error; looked at before the status."""

STATUSES: Mapping[int, Cause] = MappingProxyType(
    {
        HTTPStatus.NOT_FOUND: Cause.MISSING,
        HTTPStatus.METHOD_NOT_ALLOWED: Cause.MISSING,  # the version that is named is a delete marker
        HTTPStatus.GONE: Cause.MISSING,
        HTTPStatus.REQUEST_TIMEOUT: Cause.TIMEOUT,
        HTTPStatus.PRECONDITION_FAILED: Cause.CHANGED,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Cause.TOO_LARGE,
        HTTPStatus.TOO_MANY_REQUESTS: Cause.SERVER_ERROR,
    }
)
"""By the status of a response. Any other 3xx and 4xx is a refusal, redirects too (none is followed): the canary
tells whether the deployment is wrong or this object. Anything else that is no success is the server's error."""

EXCEPTIONS: tuple[tuple[type[Exception], Cause, str], ...] = (
    (NewConnectionError, Cause.CONNECTION, "cannot connect"),
    (TimeoutError, Cause.TIMEOUT, "silent for too long"),
    (HTTPError, Cause.CONNECTION, "the connection failed"),
    (ValueError, Cause.INVALID_NAME, "no name that the store can have"),
)
"""By the class of an exception without a response; the first that fits."""

_AWAY = frozenset({Cause.CONNECTION, Cause.TIMEOUT, Cause.SERVER_ERROR})
_REFUSED = frozenset({Cause.DENIED, Cause.INVALID_NAME})
"""What a bucket's name or a credential does, where the key of the object is one that every store takes."""

_CODE = re.compile(rb"<Code>([A-Za-z0-9]{1,64})</Code>")


def from_response(what: str, status: int, body: bytes) -> StoreError:
    """The meaning of a response that is no success; ``body`` may be cut."""
    found = _CODE.search(body)
    code = found[1].decode() if found else None
    return StoreError(_cause(status, code), f"{what}: HTTP {status}{f' {code}' if code else ''}")


def from_exception(what: str, error: Exception) -> StoreError:
    """The meaning of an exception that urllib3 or the naming of an object raised; any other is raised again."""
    match error:
        case ProtocolError(args=(_, IncompleteRead())):
            return StoreError(Cause.SHORT_BODY, f"{what}: the body ended before its declared length")
    for kind, cause, words in EXCEPTIONS:
        if isinstance(error, kind):
            return StoreError(cause, f"{what}: {words} ({type(error).__name__})")
    raise error


def for_people(error: StoreError) -> StreamprocError:
    """What an answer means to whoever stores an object under a key of ours, or makes a bucket."""
    if error.cause in _AWAY:
        return DependencyDownError("object store", str(error))
    if error.cause in _REFUSED:
        return UsageError(
            f"the object store refuses it ({error}): check storage.bucket, storage.access_key and "
            "storage.secret_key, and that the bucket exists and the key may write to it"
        )
    return error


def _cause(status: int, code: str | None) -> Cause:
    if code is not None and code in CODES:
        return CODES[code]
    if status in STATUSES:
        return STATUSES[status]
    refused = HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    return Cause.DENIED if refused else Cause.SERVER_ERROR
