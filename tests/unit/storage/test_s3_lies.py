"""What the S3 store makes of a server that lies, stalls, or sends without end."""

import gzip
import hashlib
import itertools
import socket
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from streamproc.errors import Cause, StoreError, UsageError
from streamproc.records.stored import StoredObject
from streamproc.settings import StorageSettings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock
from tests.unit.storage.lying import Answer, LyingServer, Peer, Request

MOST = 1024 * 1024
SECRET = "sekrit-0123456789"
BODY = bytes(range(256)) * 4


@pytest.fixture
def server() -> Iterator[LyingServer]:
    server = LyingServer()
    yield server
    server.close()


@pytest.fixture
def open_store() -> Iterator[Callable[[str], S3Store]]:
    stores = []

    def make(endpoint: str) -> S3Store:
        settings = StorageSettings(
            access_key=SecretStr("reader"),
            secret_key=SecretStr(SECRET),
            connect_timeout_s=1,
            read_timeout_s=0.3,
            object_timeout_s=0.8,
        )
        # A copy, which checks nothing: some of these are no addresses.
        stores.append(S3Store(settings.model_copy(update={"endpoint": endpoint}), 4, SystemClock()))
        return stores[-1]

    yield make
    for store in stores:
        store.close()


@pytest.fixture
def store(server: LyingServer, open_store: Callable[[str], S3Store]) -> S3Store:
    return open_store(server.endpoint)


def get(store: S3Store, key: str = "a/call.wav", most: int = MOST) -> StoredObject:
    return store.get("recordings", key, None, most)


def failure(store: S3Store, key: str = "a/call.wav", most: int = MOST) -> StoreError:
    with pytest.raises(StoreError) as caught:
        get(store, key, most)
    text = "".join(traceback.format_exception(caught.value))
    assert SECRET not in text
    assert "Signature=" not in text
    assert "recordings" in caught.value.detail
    return caught.value


def respond(status: str, body: bytes = b"", length: int | None = -1, **headers: str) -> Answer:
    return lambda peer, _: peer.respond(status, body, length, **headers) and length == -1


def error(status: str, code: str) -> Answer:
    return respond(status, f"<Error><Code>{code}</Code></Error>".encode(), Content_Type="application/xml")


def drip(peer: Peer, data: Iterator[bytes], pause_s: float = 0.0) -> None:
    for chunk in data:
        if peer.stopped.wait(pause_s) or not peer.send(chunk):
            return


def test_an_honest_answer_is_taken_whole(server: LyingServer, store: S3Store) -> None:
    server.answer = respond("200 OK", BODY, ETag='"abc"', x_amz_version_id="v7")
    assert get(store) == StoredObject(BODY, "abc", "v7")


def test_a_body_shorter_than_declared_is_refused(server: LyingServer, store: S3Store) -> None:
    server.answer = respond("200 OK", BODY, length=len(BODY) + 1)
    assert failure(store).cause is Cause.SHORT_BODY


def test_a_body_without_length_is_taken_when_head_says_the_same(server: LyingServer, store: S3Store) -> None:
    server.by_method = {
        "GET": respond("200 OK", BODY, length=None),
        "HEAD": respond("200 OK", b"", length=len(BODY)),
    }
    assert get(store).body == BODY


@pytest.mark.parametrize("length", [len(BODY) + 1, None], ids=["head says more", "head says nothing"])
def test_a_body_without_length_is_refused_otherwise(server: LyingServer, store: S3Store, length: int | None) -> None:
    server.by_method = {
        "GET": respond("200 OK", BODY, length=None),
        "HEAD": respond("200 OK", b"", length=length),
    }
    assert failure(store).cause is Cause.SHORT_BODY


def test_a_chunked_body_that_is_cut_is_refused(server: LyingServer, store: S3Store) -> None:
    server.answer = respond("200 OK", b"5\r\nhello\r\n", length=None, Transfer_Encoding="chunked")
    assert failure(store).cause is Cause.SHORT_BODY


@pytest.mark.parametrize("copies", [1, 10_000], ids=["in one packet", "more than a buffer holds"])
def test_what_follows_the_declared_length_is_not_taken_for_the_next_answer(
    server: LyingServer, store: S3Store, copies: int
) -> None:
    more = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil" * copies
    server.answer = lambda peer, _: peer.respond("200 OK", BODY + more, length=len(BODY))
    for _ in range(3):
        assert get(store).body == BODY


def test_an_empty_object_has_a_cause_of_its_own(server: LyingServer, store: S3Store) -> None:
    server.answer = respond("200 OK")
    assert failure(store).cause is Cause.EMPTY


def test_an_encoded_body_is_taken_as_it_is_stored(server: LyingServer, store: S3Store) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    server.answer = respond("200 OK", bomb, Content_Encoding="gzip")
    assert get(store).body == bomb


def test_a_declared_length_over_the_limit_is_refused_before_the_body_is_read(
    server: LyingServer, store: S3Store
) -> None:
    server.answer = respond("200 OK", b"", length=MOST + 1)
    assert failure(store).cause is Cause.TOO_LARGE


def test_an_object_of_exactly_the_limit_is_taken(server: LyingServer, store: S3Store) -> None:
    server.answer = respond("200 OK", BODY)
    assert get(store, most=len(BODY)).body == BODY
    assert failure(store, most=len(BODY) - 1).cause is Cause.TOO_LARGE


def test_an_endless_body_is_left_at_the_limit(server: LyingServer, store: S3Store) -> None:
    def endless(peer: Peer, _request: Request) -> None:
        peer.respond("200 OK", length=None)
        drip(peer, itertools.repeat(bytes(65_536)))

    server.answer = endless
    assert failure(store).cause is Cause.TOO_LARGE
    (peer,) = server.peers
    assert peer.sent < 64 * MOST


def test_one_byte_over_the_limit_is_too_much_without_a_length_too(server: LyingServer, store: S3Store) -> None:
    server.by_method = {
        "GET": respond("200 OK", BODY, length=None),
        "HEAD": respond("200 OK", b"", length=len(BODY)),
    }
    assert get(store, most=len(BODY)).body == BODY
    assert failure(store, most=len(BODY) - 1).cause is Cause.TOO_LARGE


def test_an_endless_body_of_an_error_is_left_too(server: LyingServer, store: S3Store) -> None:
    def endless(peer: Peer, _request: Request) -> None:
        peer.respond("500 Internal Server Error", length=None)
        drip(peer, itertools.repeat(bytes(65_536)))

    server.answer = endless
    assert failure(store).cause is Cause.SERVER_ERROR
    assert server.peers[0].sent < 64 * MOST


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (error("404 Not Found", "NoSuchKey"), Cause.MISSING),
        (error("404 Not Found", "NoSuchVersion"), Cause.MISSING),
        (respond("404 Not Found"), Cause.MISSING),
        (error("404 Not Found", "NoSuchBucket"), Cause.DENIED),
        (error("405 Method Not Allowed", "MethodNotAllowed"), Cause.MISSING),
        (error("403 Forbidden", "AccessDenied"), Cause.DENIED),
        (error("403 Forbidden", "SignatureDoesNotMatch"), Cause.DENIED),
        (respond("401 Unauthorized"), Cause.DENIED),
        (error("412 Precondition Failed", "PreconditionFailed"), Cause.CHANGED),
        (error("400 Bad Request", "KeyTooLongError"), Cause.INVALID_NAME),
        (error("400 Bad Request", "RequestTimeout"), Cause.TIMEOUT),
        (respond("400 Bad Request", b"<html>who are you</html>"), Cause.DENIED),
        (error("500 Internal Server Error", "InternalError"), Cause.SERVER_ERROR),
        (respond("502 Bad Gateway", b"\xff\xfe not text"), Cause.SERVER_ERROR),
        (error("503 Service Unavailable", "SlowDown"), Cause.SERVER_ERROR),
        (respond("429 Too Many Requests"), Cause.SERVER_ERROR),
        (respond("204 No Content"), Cause.SERVER_ERROR),
        (respond("206 Partial Content", BODY), Cause.SERVER_ERROR),
    ],
)
def test_each_refusal_has_its_cause(server: LyingServer, store: S3Store, answer: Answer, cause: Cause) -> None:
    server.answer = answer
    assert failure(store).cause is cause
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Gone There"])
def test_no_redirect_is_followed(server: LyingServer, store: S3Store, status: str) -> None:
    server.answer = respond(status, Location=f"{server.endpoint}/evil")
    assert failure(store).cause is Cause.DENIED
    with pytest.raises(StoreError):
        store.probe()
    assert not any(request.target == "/evil" for request in server.requests)
    assert len(server.requests) == 2


def test_a_stall_in_the_body_ends_with_the_read_timeout(server: LyingServer, store: S3Store) -> None:
    def stall(peer: Peer, _request: Request) -> None:
        peer.respond("200 OK", BODY, length=2 * len(BODY))
        peer.stopped.wait(10)

    server.answer = stall
    started = time.monotonic()
    assert failure(store).cause is Cause.TIMEOUT
    assert time.monotonic() - started < 2


def test_a_body_that_drips_ends_with_the_deadline_of_the_object(server: LyingServer, store: S3Store) -> None:
    def trickle(peer: Peer, _request: Request) -> None:
        peer.respond("200 OK", length=10_000)
        drip(peer, itertools.repeat(b"x"), pause_s=0.05)

    server.answer = trickle
    started = time.monotonic()
    assert failure(store).cause is Cause.TIMEOUT
    assert 0.8 <= time.monotonic() - started < 2


def test_silence_after_the_request_is_a_timeout(server: LyingServer, store: S3Store) -> None:
    server.answer = lambda peer, _: peer.stopped.wait(10)
    assert failure(store).cause is Cause.TIMEOUT


def hang_up(_peer: Peer, _request: Request) -> None:
    """Say nothing and close."""


def talk_nonsense(peer: Peer, _request: Request) -> None:
    peer.send(b"220 smtp.example ESMTP\r\n")


def reset(peer: Peer, _request: Request) -> None:
    peer.reset()


def two_lengths(peer: Peer, _request: Request) -> None:
    peer.respond("200 OK", BODY, Content_length="3")


@pytest.mark.parametrize("answer", [hang_up, talk_nonsense, reset, two_lengths])
def test_a_broken_conversation_is_the_connections_fault(server: LyingServer, store: S3Store, answer: Answer) -> None:
    server.answer = answer
    assert failure(store).cause is Cause.CONNECTION


def test_nobody_there_is_the_connections_fault(open_store: Callable[[str], S3Store]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    store = open_store(f"http://127.0.0.1:{port}")
    assert failure(store).cause is Cause.CONNECTION
    with pytest.raises(StoreError) as caught:
        store.probe()
    assert caught.value.cause is Cause.CONNECTION


@pytest.mark.parametrize("key", ["../x", "a/../../x", "./a", " ", "", "\ud800"])
def test_a_name_that_no_object_can_have_never_reaches_the_server(server: LyingServer, store: S3Store, key: str) -> None:
    assert failure(store, key).cause is Cause.INVALID_NAME
    with pytest.raises(StoreError) as caught:
        store.get("au/dio", "a.wav", None, MOST)
    assert caught.value.cause is Cause.INVALID_NAME
    assert server.requests == []


@pytest.mark.parametrize("key", ["http://169.254.169.254/x", "a\r\nHost: evil", "a?versionId=7", "%2e%2e/x", "a\0b"])
def test_a_hostile_key_stays_a_name_in_its_bucket(server: LyingServer, store: S3Store, key: str) -> None:
    server.answer = respond("200 OK", BODY)
    get(store, key)
    (request,) = server.requests
    path = request.target.partition("?")[0]
    assert path.startswith("/recordings/")
    assert not {"..", "%2e%2e"} & set(path.split("/"))
    assert request.headers["host"] == server.endpoint.removeprefix("http://")


def test_a_connection_is_kept_after_a_whole_body_and_dropped_otherwise(server: LyingServer, store: S3Store) -> None:
    server.answer = respond("200 OK", BODY)
    get(store)
    get(store)
    assert len(server.peers) == 1
    failure(store, most=10)
    get(store)
    assert len(server.peers) == 2


def test_a_kept_connection_that_the_server_closed_is_replaced(server: LyingServer, store: S3Store) -> None:
    server.answer = lambda peer, _: not peer.respond("200 OK", BODY)
    for _ in range(5):
        assert get(store).body == BODY
        time.sleep(0.02)  # a close that crosses the next request on the wire would be the connection's fault


def test_failures_leave_no_connection_open(server: LyingServer, store: S3Store) -> None:
    server.answer = respond("200 OK", b"", length=MOST + 1)
    for _ in range(20):
        failure(store)
    deadline = time.monotonic() + 2
    while any(peer.socket.fileno() >= 0 for peer in server.peers):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (respond("404 Not Found"), Cause.MISSING),
        (respond("403 Forbidden"), Cause.DENIED),
        (respond("503 Service Unavailable"), Cause.SERVER_ERROR),
        (lambda peer, _: peer.stopped.wait(10), Cause.TIMEOUT),
    ],
    ids=["missing", "denied", "error", "silence"],
)
def test_the_canary_fails_with_its_cause(server: LyingServer, store: S3Store, answer: Answer, cause: Cause) -> None:
    server.answer = answer
    with pytest.raises(StoreError) as caught:
        store.probe()
    assert caught.value.cause is cause
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_bucket_is_made_unless_it_is_there(server: LyingServer, store: S3Store) -> None:
    server.by_method = {"HEAD": respond("404 Not Found"), "PUT": respond("200 OK")}
    store.ensure_bucket("recordings")
    server.by_method["HEAD"] = respond("200 OK")
    store.ensure_bucket("recordings")
    assert [request.method for request in server.requests] == ["HEAD", "PUT", "HEAD"]


def test_a_bucket_that_cannot_be_made_says_why(server: LyingServer, store: S3Store) -> None:
    server.by_method = {"HEAD": respond("404 Not Found"), "PUT": respond("400 Bad Request", b"\xff<not xml")}
    with pytest.raises(StoreError) as caught:
        store.ensure_bucket("recordings")
    assert caught.value.cause is Cause.DENIED


def test_a_bucket_that_somebody_else_made_just_now_is_there(server: LyingServer, store: S3Store) -> None:
    def conflict(peer: Peer, request: Request) -> object:
        server.by_method["HEAD"] = respond("200 OK")
        return error("409 Conflict", "BucketAlreadyOwnedByYou")(peer, request)

    server.by_method = {"HEAD": respond("404 Not Found"), "PUT": conflict}
    store.ensure_bucket("recordings")
    assert [request.method for request in server.requests] == ["HEAD", "PUT", "HEAD"]


def test_a_put_sends_the_body_with_its_checksum(server: LyingServer, store: S3Store) -> None:
    server.answer = respond("200 OK", ETag='"abc"', x_amz_version_id="v1")
    receipt = store.put("recordings", "a/call.wav", b"hello", "audio/wav")
    assert (receipt.etag, receipt.version_id) == ("abc", "v1")
    (request,) = server.requests
    assert request.body == b"hello"
    assert request.headers["content-type"] == "audio/wav"
    assert request.headers["x-amz-content-sha256"] == hashlib.sha256(b"hello").hexdigest()
    assert "x-amz-content-sha256" in request.headers["authorization"]


@pytest.mark.parametrize(
    "endpoint",
    ["127.0.0.1:9000", "ftp://host", "http://", "http://host/path", "http://user:password@host", "http://host?x=1"],
)
def test_an_endpoint_that_is_none_is_refused_at_once(open_store: Callable[[str], S3Store], endpoint: str) -> None:
    with pytest.raises(UsageError, match=r"storage\.endpoint") as caught:
        open_store(endpoint)
    assert "password" not in str(caught.value)


@pytest.mark.parametrize("wrong", [{"secret_key": SecretStr("")}, {"region": "not a region!"}])
def test_settings_that_cannot_sign_are_refused_at_once(wrong: dict[str, Any]) -> None:
    settings = StorageSettings(access_key=SecretStr("reader"), secret_key=SecretStr(SECRET))
    with pytest.raises(UsageError, match=r"storage\.") as caught:
        S3Store(settings.model_copy(update=wrong), 1, SystemClock())
    assert SECRET not in str(caught.value)


def test_without_a_key_nothing_is_signed(server: LyingServer) -> None:
    store = S3Store(StorageSettings(endpoint=server.endpoint), 1, SystemClock())
    server.answer = respond("200 OK", BODY)
    get(store)
    assert "authorization" not in server.requests[0].headers
    store.close()


def test_a_bucket_elsewhere_names_its_region(server: LyingServer) -> None:
    settings = StorageSettings(endpoint=server.endpoint, region="eu-west-3")
    store = S3Store(settings, 1, SystemClock())
    server.by_method = {"HEAD": respond("404 Not Found"), "PUT": respond("200 OK")}
    store.ensure_bucket("recordings")
    assert b"<LocationConstraint>eu-west-3</LocationConstraint>" in server.requests[1].body
    store.close()
