import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.dedupe.memory import MemoryTier
from streamproc.records.analysis import Analysis, AudioInfo, SegmentAnalysis, Status
from streamproc.records.weight import weight


def analysis(seed: int = 0, *, segments: int = 1, labels: int = 9, channels: int = 0) -> Analysis:
    """Distinct objects throughout, as a decoder makes them: no number or string is shared."""
    names = tuple(f"label {seed} {i}" for i in range(labels))

    def scores(part: int) -> tuple[float, ...]:
        return tuple((seed + part * 0.1 + i) / 1e6 for i in range(labels))

    return Analysis(
        status=Status.OK,
        labels=names,
        scores=scores(0),
        speech_ms=1000 + seed,
        info=AudioInfo(1000 + seed, 16_000, 1, f"pcm {seed}"),
        segments=tuple(
            SegmentAnalysis(
                300 + i, -1, 1000 * i + 300, 1000 * i + 900, 600 + i, -20.0 - i, f"is {seed} {i}", 0.5 + i, scores(i)
            )
            for i in range(segments)
        ),
        embeddings=tuple(bytes([i]) * 4096 for i in range(channels)),
    )


ONE = weight(analysis())


def test_what_was_put_is_got_back() -> None:
    tier = MemoryTier(10 * ONE)
    tier.put("a", analysis(1))
    assert tier.get("a") == analysis(1)
    assert tier.get("b") is None


def test_the_least_recently_used_goes_first() -> None:
    tier = MemoryTier(3 * ONE)
    for key in "abc":
        tier.put(key, analysis())
    tier.get("a")
    tier.put("d", analysis())
    assert [key for key in "abcd" if tier.get(key)] == ["a", "c", "d"]


def test_a_large_one_drives_out_as_many_as_it_needs() -> None:
    tier = MemoryTier(weight(analysis(segments=20)) + ONE)
    for i in range(tier._most_bytes // ONE):
        tier.put(str(i), analysis())
    newest = str(len(tier) - 1)
    tier.put("large", analysis(segments=20))
    assert tier.get("large")
    assert tier.get(newest)
    assert len(tier) == 2


def test_one_that_is_too_large_alone_is_not_kept_and_drives_nothing_out() -> None:
    tier = MemoryTier(2 * ONE)
    tier.put("a", analysis())
    tier.put("large", analysis(segments=50))
    assert tier.get("large") is None
    assert tier.get("a")


def test_putting_again_replaces_and_counts_once() -> None:
    tier = MemoryTier(100 * ONE)
    tier.put("a", analysis(segments=9))
    tier.put("a", analysis(2))
    assert tier.get("a") == analysis(2)
    assert tier.bytes == ONE


def test_what_is_forgotten_is_gone_and_frees_its_bytes() -> None:
    tier = MemoryTier(10 * ONE)
    tier.put("a", analysis())
    tier.forget("a")
    tier.forget("never there")
    assert tier.get("a") is None
    assert tier.bytes == 0


@given(st.lists(st.tuples(st.sampled_from("pgf"), st.integers(0, 8), st.integers(0, 30)), max_size=60))
def test_whatever_is_done_the_bytes_are_those_of_the_entries_and_under_the_limit(
    steps: list[tuple[str, int, int]],
) -> None:
    tier = MemoryTier(20 * ONE)
    for step, key, segments in steps:
        if step == "p":
            tier.put(str(key), analysis(segments=segments))
        elif step == "g":
            tier.get(str(key))
        else:
            tier.forget(str(key))
        assert tier.bytes == sum(weight(found) for found, _ in tier._entries.values())
        assert tier.bytes <= 20 * ONE


@pytest.mark.parametrize(
    ("segments", "labels", "channels"),
    [(0, 0, 0), (1, 9, 0), (4, 9, 0), (40, 9, 0), (960, 4, 0), (1, 40, 0), (1, 9, 1), (1, 9, 8)],
)
def test_the_weight_is_what_python_takes(segments: int, labels: int, channels: int) -> None:
    tier = MemoryTier(1 << 40)
    count = max(20, 2000 // (segments + 1))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for i in range(count):
        one = analysis(1000 + i, segments=segments, labels=labels, channels=channels)
        tier.put(f"global:{i:064x}:{i:032x}", one)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.9 <= tier.bytes / (after - before) <= 1.3
