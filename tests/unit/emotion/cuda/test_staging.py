from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from streamproc.emotion.cuda.bucket import Bucket, bucket
from streamproc.emotion.cuda.staging import Batch, pack, size, unpack
from streamproc.emotion.network import PUBLISHED_STEM, collate, frames

Wave = NDArray[np.float32]
Clip = Callable[[int, int], Wave]
LENGTHS = st.lists(st.integers(400, 9_000), min_size=1, max_size=6)


def through(waves: Sequence[Wave], shape: Bucket) -> Batch:
    target = np.full(size(shape, sum(map(len, waves))) + 64, 0xFF, np.uint8)  # NaN behind what is packed
    used = pack(waves, shape, PUBLISHED_STEM, target)
    assert used == len(target) - 64
    return unpack(torch.from_numpy(target), shape, PUBLISHED_STEM)


def fitting(waves: Sequence[Wave]) -> Bucket:
    return bucket(len(waves), max(frames(len(wave)) for wave in waves), 10)


@settings(deadline=None)
@given(lengths=LENGTHS)
def test_a_packed_batch_is_what_collate_makes(clip: Clip, lengths: list[int]) -> None:
    waves = [clip(length, seed) for seed, length in enumerate(lengths)]
    batch = through(waves, fitting(waves))
    expected, counts = collate([torch.from_numpy(wave) for wave in waves])
    width = expected.shape[1]
    assert torch.equal(batch.frames[: len(waves)], counts)
    assert not batch.waves[: len(waves), width:].any()
    torch.testing.assert_close(batch.waves[: len(waves), :width], expected, rtol=1e-6, atol=1e-6)
    for row, length in zip(batch.waves, lengths, strict=False):
        assert not row[length:].any()


@settings(deadline=None)
@given(lengths=LENGTHS)
def test_no_bit_of_a_clip_depends_on_its_company_or_its_padding(clip: Clip, lengths: list[int]) -> None:
    waves = [clip(length, seed) for seed, length in enumerate(lengths)]
    together = through(waves, Bucket(len(waves) + 2, 40)).waves
    for wave, row in zip(waves, together, strict=False):
        assert torch.equal(row[: len(wave)], through([wave], fitting([wave])).waves[0, : len(wave)])


def test_a_place_that_no_clip_takes_is_silence_of_one_frame(clip: Clip) -> None:
    batch = through([clip(4_000, 1)], Bucket(3, 14))
    assert not batch.waves[1:].any()
    assert batch.frames.tolist() == [frames(4_000), 1, 1]


@pytest.mark.parametrize("wave", [np.zeros(4_000, np.float32), np.full(4_000, 0.3, np.float32)])
def test_a_wave_without_sound_is_next_to_nothing(wave: Wave) -> None:
    expected = collate([torch.from_numpy(wave)])[0]
    found = through([wave], fitting([wave])).waves[:, :4_000]
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("peak", [1e20, 3e38])
def test_a_wave_whose_sums_overflow_is_told_by_what_is_no_number(clip: Clip, peak: float) -> None:
    loud = clip(4_000, 1)
    loud = (loud / np.abs(loud).max()) * np.float32(peak)
    found = through([clip(900, 2), loud], Bucket(2, 14)).waves
    assert found[1, :4_000].isnan().any()
    assert found[0].isfinite().all()


def test_a_clip_that_is_not_finite_leaves_its_neighbours_alone(clip: Clip) -> None:
    waves = [clip(4_000, 1), np.full(3_000, np.nan, np.float32), clip(2_000, 2)]
    found = through(waves, Bucket(3, 14)).waves
    assert torch.equal(found[0], through(waves[:1], Bucket(3, 14)).waves[0])
    assert torch.equal(found[2], through(waves[2:], Bucket(3, 14)).waves[0])


def test_a_target_that_is_too_small_is_refused_before_it_is_written(clip: Clip) -> None:
    target = np.zeros(100, np.uint8)
    with pytest.raises(ValueError, match="do not fit"):
        pack([clip(400, 1)], Bucket(1, 6), PUBLISHED_STEM, target)
    assert not target.any()
