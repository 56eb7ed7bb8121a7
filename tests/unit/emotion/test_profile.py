"""Profile: what is planned keeps to its limits, and what is predicted lies on the curve that was measured."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.arena import SAMPLE_RATE
from streamproc.records.profile import KNEE_SAMPLES, MOST_PADDING, Profile, Trial, bends, fit, split

LENGTHS = st.lists(st.integers(400, 60 * SAMPLE_RATE), max_size=128)
CEILINGS = st.one_of(st.just(0), st.integers(1, 200 * SAMPLE_RATE))


@given(lengths=LENGTHS, most=CEILINGS)
def test_every_clip_runs_once_and_every_pass_keeps_its_limits(lengths: list[int], most: int) -> None:
    passes = split(lengths, most)
    assert sorted(place for places in passes for place in places) == list(range(len(lengths)))
    for places in passes:
        own = [lengths[place] for place in places]
        assert own == sorted(own)
        if len(own) > 1:
            assert len(own) * own[-1] <= most
            assert sum(own) >= (1 - MOST_PADDING) * len(own) * own[-1]


@given(count=st.integers(1, 128), length=st.integers(400, 15 * SAMPLE_RATE), most=CEILINGS)
def test_equal_clips_fill_each_pass_but_the_last(count: int, length: int, most: int) -> None:
    full = Profile(most, 0, 0, 0).most_items(length)
    assert [len(places) for places in split([length] * count, most)[:-1]] == [full] * ((count - 1) // full)


def padding(lengths: Sequence[int], passes: Sequence[Sequence[int]]) -> float:
    """The share of all that these passes compute that is padding."""
    padded = sum(len(places) * max(lengths[place] for place in places) for places in passes)
    return 1 - sum(lengths[place] for places in passes for place in places) / padded


def test_mixed_traffic_pads_little_and_still_shares_passes() -> None:
    """Batches of 128 clips whose lengths are log-uniform from 0.5 to 15 s, on a device that takes 60 s at once."""
    random = np.random.default_rng(0)
    shares, clips = [], []
    for _ in range(50):
        seconds = np.exp(random.uniform(np.log(0.5), np.log(15), 128))
        lengths = [int(SAMPLE_RATE * length) for length in seconds]
        passes = split(lengths, 60 * SAMPLE_RATE)
        shares.append(padding(lengths, passes))
        clips.append(len(lengths) / len(passes))
    assert max(shares) < MOST_PADDING
    assert min(clips) > 4


@given(
    pass_s=st.floats(0, 1),
    sample_s=st.floats(1e-7, 1e-5),
    square_s=st.floats(0, 1e-11),
    late_s=st.floats(0, 1e-11),
    lengths=LENGTHS,
)
def test_a_curve_is_found_again_from_its_points(
    pass_s: float, sample_s: float, square_s: float, late_s: float, lengths: list[int]
) -> None:
    true = Profile(0, pass_s, sample_s, square_s, late_s)

    def trial(samples: int) -> Trial:
        return Trial(1, samples, true.cost([samples]))

    def block(samples: int) -> Trial:
        return Trial(1, samples, true.cost([samples]) - pass_s)

    short, middle, long = 8_000, 48_000, 480_000
    found = fit(0, [trial(short), trial(middle)], *bends(block(middle), block(KNEE_SAMPLES), block(long)))
    assert found.cost(lengths) == pytest.approx(true.cost(lengths), rel=1e-3, abs=1e-6)


@pytest.mark.parametrize(
    "seconds",
    [(0.2, 0.2, 0.2, 0.2), (0.4, 0.3, 0.2, 0.1), (0.1, 0.3, 9.0, 0.2)],
    ids=["equal times", "times that fall, as on a machine in use", "a disturbed one"],
)
def test_nothing_is_predicted_to_take_less_than_nothing(seconds: Sequence[float]) -> None:
    trials = [
        Trial(1, samples, taken) for samples, taken in zip((8_000, 48_000, KNEE_SAMPLES, 480_000), seconds, strict=True)
    ]
    found = fit(0, trials[:2], *bends(*trials[1:]))
    assert min(found.pass_s, found.sample_s, found.square_s, found.late_s) >= 0


def test_what_shares_a_pass_is_paid_for_as_long_as_the_longest() -> None:
    profile = Profile(100, 1.0, 0.1, 0.01)
    assert profile.cost([10, 10]) == pytest.approx(1 + 2 * (1 + 1))
    assert profile.cost([10, 100]) == pytest.approx((1 + 1 + 1) + (1 + 10 + 100))
    assert profile.cost([]) == 0


def test_a_clip_past_the_knee_is_paid_for_by_what_is_past_it() -> None:
    profile = Profile(0, 1.0, 0.0, 0.0, 0.5)
    assert profile.cost([KNEE_SAMPLES]) == 1
    assert profile.cost([KNEE_SAMPLES + 2]) == pytest.approx(1 + 0.5 * 2 * (KNEE_SAMPLES + 2))
