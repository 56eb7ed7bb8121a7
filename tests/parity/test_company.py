"""Whatever lengths, kinds and batch mates hypothesis thinks of: a clip's numbers stay its own."""

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.bench.peer import Peer, open_peer
from streamproc.emotion.network import PUBLISHED_STEM, NetworkConfig
from tools.parity.bounds import BOUNDS, Against
from tools.parity.clips import KINDS, SHORTEST, Clip
from tools.parity.ours import Ours, Value
from tools.parity.reference import judge
from tools.parity.subjects import Subject, directory

STEM = tuple(layer._replace(channels=16) for layer in PUBLISHED_STEM)
SMALL = Subject("small", NetworkConfig(32, 2, 1, 1, 9, stem=STEM), 0)
SEED = 3
BATCHES = st.lists(
    st.builds(
        Clip,
        number=st.integers(0, 1000),
        kind=st.sampled_from(sorted(KINDS)),
        samples=st.integers(SHORTEST, 8_000),
    ),
    min_size=1,
    max_size=6,
)


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[Ours, Peer]]:
    with directory(SMALL, SEED) as path, open_peer(path, threads=1) as peer:
        yield Ours(path), peer


def broken(against: Against, found: Value, expected: Value) -> dict[str, float]:
    differences = found.differences(expected).items()
    return {output: d for output, d in differences if d > BOUNDS[against].of(output)}


@settings(max_examples=60)
@given(clips=BATCHES)
def test_any_batch_equals_funasr_file_by_file_and_each_clip_alone(both: tuple[Ours, Peer], clips: list[Clip]) -> None:
    ours, peer = both
    waves = [clip.wave(SEED) for clip in clips]
    for wave, found in zip(waves, ours.together(waves), strict=True):
        assert broken(Against.FUNASR, found, judge(peer, wave)) == {}
        assert broken(Against.ITSELF, found, ours.alone(wave)) == {}


def test_the_embedding_is_the_one_that_funasr_gives_for_a_whole_file(both: tuple[Ours, Peer]) -> None:
    """The mean of its frames, which saves running it twice."""
    wave = Clip(1, "voice", 5_000).wave(SEED)
    peer = both[1]
    (whole,) = peer._model.generate(wave, granularity="utterance", extract_embedding=True)
    assert np.array_equal(whole["feats"], judge(peer, wave).embedding)
