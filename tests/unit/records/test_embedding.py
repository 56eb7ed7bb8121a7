"""The embedding of a recording from those of its segments, and how it is stored."""

import io
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.records.analysis import MIX, Analysis, AudioInfo, SegmentAnalysis, Status
from streamproc.records.embedding import Computed, embedding, of_channels, pack, problem_of, unpack
from streamproc.records.identity import content_key, content_of, work_key

INFO = AudioInfo(60_000, 8_000, 2, "wav")
KEY = content_key("tenant=a:b", "0" * 64, "f" * 32)
numbers = st.floats(-1e3, 1e3, width=32)


def part(index: int, channel: int, speech_ms: int, *values: float) -> Computed:
    segment = SegmentAnalysis(index, channel, 0, 1000, speech_ms, -20.0, "a", 1.0, (1.0,))
    return Computed(segment, pack(np.array(values)))


def rows(packed: Sequence[bytes]) -> list[list[float]]:
    return [unpack(one).tolist() for one in packed]


def test_one_segment_gives_its_own() -> None:
    [mean] = of_channels([part(0, MIX, 7, 0.1, -3e-8)], [MIX], 2)
    assert mean == pack(np.array([0.1, -3e-8]))


def test_segments_are_weighted_by_speech_and_channels_stand_apart() -> None:
    found = [part(2, 0, 3000, 4.0, 1.0), part(0, 0, 1000, 0.0, 1.0), part(1, 1, 500, -1.0, 2.0)]
    assert rows(of_channels(found, range(2), 2)) == [[3.0, 1.0], [-1.0, 2.0]]


def test_a_channel_in_which_nobody_speaks_is_nan() -> None:
    silent, other = of_channels([part(0, 1, 500, 1.0, 2.0)], range(2), 2)
    assert np.isnan(unpack(silent)).tolist() == [True, True]
    assert unpack(other).tolist() == [1.0, 2.0]


@given(st.lists(st.tuples(st.integers(1, 15_000), numbers), min_size=1, max_size=20), st.randoms())
def test_it_is_the_same_bit_for_bit_in_whatever_order_segments_are_found(
    parts: list[tuple[int, float]], random: object
) -> None:
    found = [part(index, MIX, speech_ms, value) for index, (speech_ms, value) in enumerate(parts)]
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis's own Random
    [mean] = of_channels(shuffled, [MIX], 1)
    assert [mean] == list(of_channels(found, [MIX], 1))
    low, high = min(value for _, value in parts), max(value for _, value in parts)
    assert low - 1e-3 <= unpack(mean)[0] <= high + 1e-3


@pytest.mark.parametrize(
    ("packed", "problem"),
    [
        (pack(np.ones(3)), ""),
        (b"", "it has 0 bytes, not 3 float32"),
        (pack(np.ones(4)), "it has 16 bytes, not 3 float32"),
        (pack(np.array([0, np.inf, 0])), "it holds numbers that are not finite"),
    ],
)
def test_what_is_no_embedding_is_told(packed: bytes, problem: str) -> None:
    assert problem_of(packed, 3) == problem


def test_the_object_is_what_numpy_reads_without_pickle() -> None:
    packed = (pack(np.array([1.5, -2.0])), pack(np.full(2, np.nan)))
    stored = embedding(work_key(KEY, embedding=True), Analysis(Status.OK, ("a",), (1.0,), 1, INFO, (), packed))
    found = np.load(io.BytesIO(stored.body), allow_pickle=False)
    assert (found.dtype, found.shape, stored.content_type) == (np.dtype("<f4"), (2, 2), "application/octet-stream")
    assert found[0].tolist() == [1.5, -2.0]
    assert np.isnan(found[1]).all()
    assert stored.body.startswith(b"\x93NUMPY\x01\x00")
    assert stored.key.startswith(f"analyses/{'0' * 64}/{'f' * 32}/")


def test_a_key_of_work_says_which_content_it_is_of() -> None:
    asked = work_key(KEY, embedding=True)
    assert asked != KEY == work_key(KEY, embedding=False)
    assert content_of(asked) == content_of(KEY) == KEY
    assert asked.rsplit(":", 2)[:2] == KEY.rsplit(":", 2)[:2]
