"""What is made of a store that knows no versions, which no store that the tests can start is."""

import hashlib
from collections.abc import Iterator
from contextlib import closing

import pytest

from streamproc.errors import DependencyDownError
from streamproc.operate.contents import find_contents
from streamproc.operate.forget import Wanted, forget
from streamproc.settings import RedisSettings, Settings, StorageSettings
from tests.unit.storage.lying import Answer, LyingServer, Peer, Request

BODY = b"recording"
SHA256 = hashlib.sha256(BODY).hexdigest()
NAME = f"analyses/{SHA256}/{'a' * 32}/analysis.bin"
LISTED = (
    '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>recordings</Name><IsTruncated>false</IsTruncated><Contents>'
    f"<Key>{NAME}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>x</ETag><Size>1</Size>"
    "<StorageClass>STANDARD</StorageClass></Contents></ListBucketResult>"
)


@pytest.fixture
def server() -> Iterator[LyingServer]:
    with closing(LyingServer()) as server:
        yield server


def without_versions(status: str, code: str) -> Answer:
    """A store with one recording and one object of it, which says this when it is asked for versions."""

    def answer(peer: Peer, request: Request) -> bool:
        if "versions" in request.target:
            return peer.respond(status, f"<Error><Code>{code}</Code></Error>".encode(), Content_Type="application/xml")
        if "list-type" in request.target:
            return peer.respond("200 OK", LISTED.encode(), Content_Type="application/xml")
        if request.method == "DELETE":
            return peer.respond("204 No Content")
        return peer.respond("200 OK", BODY, ETag='"abc"')

    return answer


def settings(server: LyingServer) -> Settings:
    storage = StorageSettings(endpoint=server.endpoint, bucket="recordings")
    return Settings(storage=storage, redis=RedisSettings(url=None))


def test_an_object_is_read_where_the_store_has_no_such_listing(server: LyingServer) -> None:
    server.answer = without_versions("501 Not Implemented", "NotImplemented")
    found = find_contents(settings(server), "s3://recordings/a.wav")
    assert found.sha256 == (SHA256,)
    assert found.unread == {"versions": "older versions of the object, which the store does not list"}


def test_what_is_kept_is_erased_where_the_store_has_no_such_listing(server: LyingServer) -> None:
    server.answer = without_versions("501 Not Implemented", "NotImplemented")
    assert forget(settings(server), Wanted((SHA256,), None), dry_run=False).objects == (NAME,)
    (deleted,) = [request.target for request in server.requests if request.method == "DELETE"]
    assert deleted == f"/recordings/{NAME}"


def test_a_store_that_fails_is_not_taken_for_one_without_versions(server: LyingServer) -> None:
    server.answer = without_versions("503 Service Unavailable", "SlowDown")
    with pytest.raises(DependencyDownError, match="versions in 'recordings' were listed"):
        find_contents(settings(server), "s3://recordings/a.wav")
    with pytest.raises(DependencyDownError, match="were erased"):
        forget(settings(server), Wanted((SHA256,), None), dry_run=False)
    assert {request.method for request in server.requests} == {"GET"}
