from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.worker.core.price import SEGMENT_MS, STEP_MS, Prices

PASS_S = 0.25
SAMPLE_S = 1e-4


def cost(lengths: Sequence[int]) -> float:
    """One pass, padded to the longest."""
    return PASS_S + SAMPLE_S * len(lengths) * max(lengths)


def alone(_longest: int) -> int:
    return 1


def test_nothing_costs_nothing() -> None:
    assert Prices(cost, alone).seconds(0) == 0


def test_a_segment_costs_what_the_device_says() -> None:
    prices = Prices(cost, alone)
    assert prices.seconds(1_000) == pytest.approx(PASS_S + SAMPLE_S * 16_000)
    assert prices.seconds(SEGMENT_MS) == pytest.approx(PASS_S + SAMPLE_S * 240_000)


def test_longer_audio_costs_what_its_segments_cost() -> None:
    prices = Prices(cost, alone)
    assert prices.seconds(2 * SEGMENT_MS + 1_000) == pytest.approx(
        2 * prices.seconds(SEGMENT_MS) + prices.seconds(1_000)
    )


def test_what_runs_in_a_batch_costs_its_share_of_a_full_one() -> None:
    assert Prices(cost, lambda _: 5).seconds(1_000) == pytest.approx(PASS_S / 5 + SAMPLE_S * 16_000)


def test_the_device_is_asked_for_no_more_than_a_segment_and_once_for_each_length() -> None:
    asked: list[int] = []

    def watched(lengths: Sequence[int]) -> float:
        asked.extend(lengths)
        return cost(lengths)

    prices = Prices(watched, alone)
    for audio_ms in range(0, 100_000, 777):
        prices.seconds(audio_ms)
    assert max(asked) == 240_000
    assert len(asked) == len(set(asked))


@given(st.integers(1, 4 * 3_600_000))
def test_a_price_is_never_below_the_cost_of_the_segments_and_at_most_a_step_above(audio_ms: int) -> None:
    whole, rest = divmod(audio_ms, SEGMENT_MS)
    true = whole * cost([240_000]) + (cost([16 * rest]) if rest else 0)
    assert true - 1e-6 <= Prices(cost, alone).seconds(audio_ms) <= true + SAMPLE_S * 16 * STEP_MS + 1e-6
