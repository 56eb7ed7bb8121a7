import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.client.naming import content_type, event_id, object_key
from streamproc.records.recording import RecordingEvent, check_object

SHA = hashlib.sha256(b"hello").hexdigest()
EVENT = RecordingEvent("", 1_700_000_000_000, "recordings", f"sha256/{SHA}.wav", content_sha256=SHA, call_id="c-1")


@pytest.mark.parametrize(
    ("name", "extension"),
    [("call.wav", ".wav"), ("a/b/Call.FLAC", ".flac"), ("x.tar.gz", ".gz"), ("plain", ""), ("", ""), (".wav", "")],
)
def test_a_key_is_the_hash_and_the_extension(name: str, extension: str) -> None:
    assert object_key(SHA, name) == f"sha256/{SHA}{extension}"


@given(st.text(max_size=300))
def test_whatever_the_name_the_key_is_one_that_workers_accept(name: str) -> None:
    event = EVENT._replace(object_key=object_key(SHA, name))
    check_object(event, frozenset({"recordings"}))


@pytest.mark.parametrize(("name", "kind"), [("a.mp3", "audio/mpeg"), ("a.weird", "application/octet-stream")])
def test_the_media_type_follows_the_extension(name: str, kind: str) -> None:
    assert content_type(name) == kind


def test_the_same_declaration_has_the_same_id_however_often_it_is_stored() -> None:
    stored_again = EVENT._replace(version_id="v2", etag="abc")
    assert event_id(EVENT) == event_id(stored_again)


@pytest.mark.parametrize(
    "other",
    [
        EVENT._replace(recorded_at=1),
        EVENT._replace(call_id="c-2"),
        EVENT._replace(channels="split"),
        EVENT._replace(outputs=frozenset({"scores", "segments"})),
        EVENT._replace(attributes={"a": "b"}),
        EVENT._replace(bucket="elsewhere"),
    ],
)
def test_another_declaration_has_another_id(other: RecordingEvent) -> None:
    assert event_id(other) != event_id(EVENT)


def test_an_id_does_not_depend_on_the_order_of_sets_and_maps() -> None:
    one = EVENT._replace(outputs=frozenset(["scores", "segments"]), attributes={"a": "1", "b": "2"})
    other = EVENT._replace(outputs=frozenset(["segments", "scores"]), attributes={"b": "2", "a": "1"})
    assert event_id(one) == event_id(other)
