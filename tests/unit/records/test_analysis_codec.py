import dataclasses
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.records.analysis import Analysis, AudioInfo, SegmentAnalysis, Status
from streamproc.records.analysis_codec import analysis_from_bytes, analysis_to_bytes

score = st.floats(allow_nan=False, allow_infinity=False)
count = st.integers(0, 2**40)


@st.composite
def analyses(draw: st.DrawFn) -> Analysis:
    status = draw(st.sampled_from(Status))
    labels = tuple(draw(st.lists(st.text(max_size=8), min_size=1, max_size=4)))
    scores = st.tuples(*[score] * len(labels))
    segments = st.builds(
        SegmentAnalysis,
        index=count,
        channel=st.integers(-1, 8),
        start_ms=count,
        end_ms=count,
        speech_ms=count,
        level_dbfs=score,
        label=st.sampled_from(labels),
        confidence=score,
        scores=scores,
    )
    return Analysis(
        status=status,
        labels=labels,
        scores=draw(scores) if status is Status.OK else (),
        speech_ms=draw(count),
        info=draw(st.builds(AudioInfo, count, count, st.integers(1, 8), st.text(max_size=8))),
        segments=tuple(draw(st.lists(segments, max_size=3))),
        embeddings=tuple(draw(st.lists(st.binary(min_size=8, max_size=8), max_size=3))),
    )


ONE = Analysis(Status.OK, ("a", "b"), (0.25, 0.75), 900, AudioInfo(1000, 16_000, 1, "wav"), ())


@given(analyses())
def test_an_analysis_comes_back_equal(analysis: Analysis) -> None:
    assert analysis_from_bytes(analysis_to_bytes(analysis)) == analysis


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_value_error(value: bytes) -> None:
    with pytest.raises(ValueError, match="analysis"):
        analysis_from_bytes(value)


@given(st.sampled_from([b"\x01", b"\x02"]), st.binary(max_size=200))
def test_arbitrary_bytes_under_a_right_checksum_raise_value_error(version: bytes, body: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the message depends on where the bytes stop making sense
        analysis_from_bytes(version + hashlib.sha256(body).digest()[:16] + body)


def test_one_without_embeddings_is_written_as_before_there_were_any() -> None:
    """So workers of before and after share a tier; who knows no embeddings asks for none."""
    before = bytes.fromhex(
        "019700ba01a1b4ccf2d7ffdf2159033924046f6b04026102620004000000000000d03f000000000000e83f00880ed00f80fa0102067761"
        "7600"
    )
    assert analysis_from_bytes(before) == ONE
    assert analysis_to_bytes(ONE) == before


@given(st.sampled_from([(), (b"1234", b"5678")]), st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_is_noticed(embeddings: tuple[bytes, ...], place: int, flip: int) -> None:
    value = bytearray(analysis_to_bytes(dataclasses.replace(ONE, embeddings=embeddings)))
    value[place % len(value)] ^= flip
    with pytest.raises(ValueError, match=r"version|checksum"):
        analysis_from_bytes(bytes(value))


@pytest.mark.parametrize(
    "change",
    [
        {"scores": (0.25,)},
        {"scores": (float("nan"), 0.5)},
        {"scores": ()},
        {"status": Status.NO_SPEECH},
        {"embeddings": (b"1234", b"56781234")},
        {"segments": (SegmentAnalysis(0, -1, 0, 1, 1, -20.0, "a", 0.5, (0.5,)),)},
    ],
)
def test_a_forged_analysis_that_no_row_can_be_built_from_raises(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="an analysis"):
        analysis_from_bytes(analysis_to_bytes(dataclasses.replace(ONE, **change)))  # type: ignore[arg-type]  # on purpose
