import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.records.finished import FinishedSegment, Stretch
from streamproc.records.finished_codec import finished_from_bytes, finished_to_bytes

count = st.integers(0, 2**40)
score = st.floats(allow_nan=False, allow_infinity=False)
finished = st.builds(
    FinishedSegment,
    st.builds(Stretch, st.integers(-1, 8), count, count),
    st.lists(score, max_size=9).map(tuple),
    st.binary(max_size=8),
)
ONE = FinishedSegment(Stretch(-1, 0, 14_976), (0.1 + 0.2, 1e-17))


@given(st.lists(finished, max_size=4))
def test_a_group_comes_back_equal(group: list[FinishedSegment]) -> None:
    assert finished_from_bytes(finished_to_bytes(group)) == group


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_value_error(value: bytes) -> None:
    with pytest.raises(ValueError, match="finished segments"):
        finished_from_bytes(value)


@given(st.sampled_from([b"\x01", b"\x02"]), st.binary(max_size=200))
def test_arbitrary_bytes_under_a_right_checksum_raise_value_error_or_are_segments(version: bytes, body: bytes) -> None:
    value = version + hashlib.sha256(body).digest()[:16] + body
    try:
        found = finished_from_bytes(value)
    except ValueError:
        return
    assert finished_from_bytes(finished_to_bytes(found)) == found


def test_a_group_without_embeddings_is_written_as_before_there_were_any() -> None:
    before = bytes.fromhex("015a0dfdeb85e7d996ca8ea30c59b6a0d902010080ea0104343333333333d33f97d44646f50e673c0000")
    assert finished_from_bytes(before) == [ONE]
    assert finished_to_bytes([ONE]) == before


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_noticed(place: int, flip: int) -> None:
    value = bytearray(finished_to_bytes([ONE]))
    value[place % len(value)] ^= flip
    with pytest.raises(ValueError, match=r"version|checksum"):
        finished_from_bytes(bytes(value))


def test_scores_that_are_no_numbers_raise() -> None:
    with pytest.raises(ValueError, match="scores"):
        finished_from_bytes(finished_to_bytes([ONE, ONE._replace(scores=(float("nan"), 0.5))]))
