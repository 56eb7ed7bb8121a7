from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.arena import SAMPLE_RATE
from streamproc.emotion.cuda.bucket import ALIGN, FINE_ITEMS, GRAPH_FRAMES, Bucket, bucket
from streamproc.emotion.network import PUBLISHED_STEM, frames
from streamproc.records.profile import split

ITEMS = st.integers(1, 128)
FRAMES = st.integers(1, 15_000)
TOKENS = st.sampled_from([0, 10])


@given(ITEMS, FRAMES, TOKENS)
def test_every_pass_fits_its_bucket(items: int, longest: int, extra: int) -> None:
    shape = bucket(items, longest, extra)
    assert shape.items >= items
    assert shape.frames >= longest
    assert (shape.frames + extra) % ALIGN == 0


@given(ITEMS, FRAMES, TOKENS)
def test_little_is_added(items: int, longest: int, extra: int) -> None:
    shape = bucket(items, longest, extra)
    tokens = longest + extra
    assert shape.frames - longest < max(ALIGN, tokens / 32)
    assert shape.items == items or (items > FINE_ITEMS and shape.items - items < items / FINE_ITEMS and shape.small)


@given(ITEMS, FRAMES, TOKENS)
def test_a_bucket_is_its_own_bucket(items: int, longest: int, extra: int) -> None:
    shape = bucket(items, longest, extra)
    assert bucket(shape.items, shape.frames, extra) == shape


@given(ITEMS, FRAMES, FRAMES, TOKENS)
def test_a_longer_clip_has_no_smaller_bucket(items: int, one: int, other: int, extra: int) -> None:
    assert bucket(items, min(one, other), extra).frames <= bucket(items, max(one, other), extra).frames


@pytest.mark.parametrize("count", [1, 6, 49, 249, 262, 759])
def test_the_longest_waveform_of_a_bucket_gives_its_frames_and_one_sample_more_would_not(count: int) -> None:
    samples = Bucket(1, count).samples(PUBLISHED_STEM)
    assert frames(samples) == count
    assert frames(samples + 1) == count + 1


def test_the_shapes_that_are_replayed_are_few() -> None:
    """Of the 128 x 749 that batches of clips of up to 15 s may have."""
    shapes = {bucket(items, longest, 10) for items, longest in product(range(1, 129), range(1, 750))}
    small = {shape for shape in shapes if shape.small}
    assert len({shape.frames for shape in shapes}) == 79
    assert len(small) == 1292
    assert all(shape.items * shape.frames <= GRAPH_FRAMES for shape in small)


@pytest.mark.parametrize("clips", [32, 128, 512])
@pytest.mark.parametrize("most_s", [60, 640])
def test_mixed_traffic_pads_little_all_rounding_counted(clips: int, most_s: int) -> None:
    """Batches of clips whose lengths are log-uniform from 0.5 to 15 s: the frames that are computed for nothing."""
    random = np.random.default_rng(0)
    shares = []
    for _ in range(20):
        seconds = np.exp(random.uniform(np.log(0.5), np.log(15), clips))
        lengths = [int(each * SAMPLE_RATE) for each in seconds]
        counts = [frames(length) for length in lengths]
        passes = split(lengths, most_s * SAMPLE_RATE)
        shapes = [bucket(len(places), max(counts[place] for place in places), 10) for places in passes]
        shares.append(1 - sum(counts) / sum(shape.items * shape.frames for shape in shapes))
    assert max(shares) < 0.08
