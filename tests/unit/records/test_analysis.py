"""The scores of a recording from those of its segments: the formula that is published."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.records.analysis import SegmentAnalysis, aggregate


def segment(speech_ms: int, *scores: float, channel: int = -1) -> SegmentAnalysis:
    return SegmentAnalysis(0, channel, 0, 1000, speech_ms, -20.0, "a", max(scores), scores)


def test_one_segment_gives_its_own_scores_to_the_last_bit() -> None:
    assert aggregate([segment(7, 0.1, 0.9)]) == (0.1, 0.9)


def test_segments_weigh_by_their_speech_whatever_their_channel() -> None:
    found = aggregate([segment(9_000, 0.8, 0.2, channel=0), segment(1_000, 0.1, 0.9, channel=1)])
    assert found == pytest.approx((0.73, 0.27))


@given(st.lists(st.tuples(st.integers(1, 15_000), st.floats(0, 1)), min_size=1, max_size=50))
def test_scores_that_sum_to_1_do_so_together_and_lie_among_those_of_the_segments(
    segments: list[tuple[int, float]],
) -> None:
    found = aggregate([segment(speech_ms, score, 1 - score) for speech_ms, score in segments])
    assert sum(found) == pytest.approx(1)
    scores = [score for _, score in segments]
    assert min(scores) - 1e-9 <= found[0] <= max(scores) + 1e-9
