import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.records.alias import hash_from_bytes, hash_to_bytes, names_of
from streamproc.records.recording import RecordingEvent
from streamproc.records.stored import Tags

EVENT = RecordingEvent("e", 0, "recordings", "calls/a.wav")


@given(st.text(), st.binary(min_size=32, max_size=32))
def test_a_hash_is_read_as_it_was_written(alias: str, digest: bytes) -> None:
    assert hash_from_bytes(alias, hash_to_bytes(alias, digest.hex())) == digest.hex()


@given(st.binary(min_size=32, max_size=32), st.integers(0, 40), st.integers(1, 255))
def test_a_value_that_changed_is_unknown(digest: bytes, place: int, by: int) -> None:
    value = bytearray(hash_to_bytes("a", digest.hex()))
    value[place] ^= by
    with pytest.raises(ValueError, match="41 bytes"):
        hash_from_bytes("a", bytes(value))


@given(st.binary())
def test_what_was_never_written_is_unknown(value: bytes) -> None:
    with pytest.raises(ValueError, match="not what is kept"):
        hash_from_bytes("a", value)


def test_the_value_of_another_alias_is_unknown() -> None:
    with pytest.raises(ValueError, match="not what is kept"):
        hash_from_bytes("b", hash_to_bytes("a", "00" * 32))


def test_a_version_is_surer_than_an_etag() -> None:
    version, etag = names_of(EVENT, Tags("abc", "7"))
    assert version.endswith("v7")
    assert etag.endswith("eabc")


def test_a_version_and_an_etag_of_the_same_text_are_two_names() -> None:
    assert len(set(names_of(EVENT, Tags("7", "7")))) == 2
