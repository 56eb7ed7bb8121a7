"""Which segments share a batch, and what becomes of it on a device that pads."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from streamproc.arena import SAMPLE_RATE
from streamproc.records.profile import MOST_PADDING, Profile, split
from streamproc.worker.core.schedule import LENGTH_RATIO, choose

WAITING = 240
"""Segments of a full arena."""
CEILING = 60 * SAMPLE_RATE
LENGTHS = st.lists(st.integers(400, 15 * SAMPLE_RATE), max_size=40)


@given(lengths=LENGTHS, most=st.integers(1, 12))
def test_the_oldest_is_always_in_and_the_rest_is_of_its_length(lengths: list[int], most: int) -> None:
    chosen = choose(lengths, lambda _: most)
    assert chosen == sorted(set(chosen))
    assert chosen[:1] == [0][: len(lengths)]
    assert len(chosen) <= most
    if chosen:
        found = [lengths[place] for place in chosen]
        assert max(found) <= LENGTH_RATIO * min(found)


def passes(random: np.random.Generator, batches: int) -> Sequence[Sequence[int]]:
    """Lengths of the clips of each pass, of mixed traffic that keeps the arena full."""

    def arrive(count: int) -> list[int]:
        return [int(SAMPLE_RATE * s) for s in np.exp(random.uniform(np.log(0.5), np.log(15), count))]

    profile = Profile(CEILING, 0.0, 1e-6, 0.0)
    waiting, found = arrive(WAITING), []
    for _ in range(batches):
        chosen = set(choose(waiting, profile.batch_items))
        batch = [waiting[place] for place in sorted(chosen)]
        found += [[batch[place] for place in places] for places in split(batch, CEILING)]
        waiting = [length for place, length in enumerate(waiting) if place not in chosen] + arrive(len(batch))
    return found


def test_of_mixed_traffic_a_worker_pads_little_and_fills_its_passes() -> None:
    """Log-uniform from 0.5 to 15 s. More than two thirds of a pass's ceiling would need a longer queue, or padding."""
    found = passes(np.random.default_rng(0), 300)
    real = sum(map(sum, found))
    padded = sum(len(lengths) * max(lengths) for lengths in found)
    assert 1 - real / padded < MOST_PADDING
    assert real / len(found) > 0.55 * CEILING
