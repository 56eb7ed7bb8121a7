from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.arena import SLOT_SAMPLES
from streamproc.audio.segment import SILENCE_WINDOW, SILENT_RMS, Segment, Segmenter, is_silent
from streamproc.audio.voice import WINDOW, Voice, load_session
from tests.unit.audio.sounds import Wave, noise, talk, voice


@pytest.fixture(scope="module")
def session() -> Any:
    return load_session()


@pytest.fixture(scope="module")
def conversation() -> Wave:
    return talk([(4, 1), (9, 0.7), (0.1, 2), (22, 1), (3, 0.2), (3, 3)])


def segments_of(session: Any, wave: Wave, block: int = 16_000) -> list[Segment]:
    segmenter = Segmenter(-1, session)
    segments = [s for at in range(0, len(wave), block) for s in segmenter.feed(wave[at : at + block])]
    return [*segments, *segmenter.finish()]


@pytest.mark.parametrize("samples", [400, 16_000, SLOT_SAMPLES - 1, SLOT_SAMPLES])
def test_up_to_15_s_is_one_segment_whole_and_all_of_it_counts(session: Any, samples: int) -> None:
    wave = noise(samples / 16_000)[:, 0]
    (segment,) = segments_of(session, wave)
    assert (segment.start, segment.end, segment.speech) == (0, samples, samples)
    np.testing.assert_array_equal(segment.wave, wave)


def test_less_than_25_ms_is_no_segment(session: Any) -> None:
    assert segments_of(session, noise(399 / 16_000)[:, 0]) == []


def test_one_sample_over_15_s_is_cut_by_speech(session: Any) -> None:
    assert segments_of(session, noise((SLOT_SAMPLES + 1) / 16_000, level=0.003)[:, 0]) == []


def test_long_audio_is_cut_where_nobody_speaks(session: Any, conversation: Wave) -> None:
    segments = segments_of(session, conversation)
    seconds = [(round(s.start / 16_000, 1), round(s.end / 16_000, 1)) for s in segments]
    assert seconds[0][0] == pytest.approx(0, abs=0.2)
    assert seconds[0][1] == pytest.approx(4, abs=0.4)
    assert seconds[1] == pytest.approx((5, 14), abs=0.4)
    assert seconds[2][0] == pytest.approx(16.8, abs=0.4)
    assert seconds[-1] == pytest.approx((39.8, 46), abs=0.5)  # a pause of 0.2 s separates nothing
    assert len(segments) == 5  # 22 s of speech without a pause are two
    for segment in segments:
        assert len(segment.wave) == segment.end - segment.start <= SLOT_SAMPLES
        assert 0.8 * len(segment.wave) < segment.speech <= len(segment.wave)
        np.testing.assert_array_equal(segment.wave, conversation[segment.start : segment.end])


@pytest.mark.parametrize("block", [160, 5_001, 65_536, 10**9])
def test_the_size_of_the_blocks_changes_nothing(session: Any, conversation: Wave, block: int) -> None:
    places = [(s.start, s.end, s.speech) for s in segments_of(session, conversation, block)]
    assert places == [(s.start, s.end, s.speech) for s in segments_of(session, conversation)]


def test_a_segmenter_holds_little_of_a_long_channel(session: Any, conversation: Wave) -> None:
    segmenter = Segmenter(0, session)
    most = 0
    for turn in range(30):
        wave = conversation[-3 * 16_000 :] if turn % 7 == 0 else conversation[5 * 16_000 : 8 * 16_000]
        list(segmenter.feed(wave))
        most = max(most, len(segmenter._held))
    assert most <= SLOT_SAMPLES + 3 * 16_000


def test_speech_up_to_the_end_ends_with_the_recording(session: Any) -> None:
    wave = np.concatenate([noise(14, level=1e-4)[:, 0], voice(3.01)])
    (segment,) = segments_of(session, wave)
    assert segment.end == len(wave)


def test_silence_is_under_minus_60_dbfs_in_every_tenth_of_a_second(session: Any) -> None:
    quiet = np.full(32_000, 0.00099, np.float32)
    assert is_silent(quiet)
    assert segments_of(session, quiet) == []
    loud_end = quiet.copy()
    loud_end[-30:] = 0.1
    assert not is_silent(loud_end)
    assert is_silent(np.zeros(400, np.float32))
    assert not is_silent(np.full(500, 0.0011, np.float32))


def all_at_once(wave: Wave) -> bool:
    """Silence by its definition, every window looked at."""
    starts = np.arange(0, len(wave), SILENCE_WINDOW)
    if not len(starts):
        return True
    counts = np.diff(np.append(starts, len(wave)))
    means = np.add.reduceat(np.square(wave, dtype=np.float64), starts) / counts
    return bool((means < SILENT_RMS**2).all())


@given(
    st.integers(0, 60_000),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.0005, 0.000999, 0.001, 0.001001, 0.5]),
    st.lists(st.tuples(st.integers(0, 60_000), st.integers(1, 4_000)), max_size=3),
)
def test_silence_is_found_piece_by_piece_as_in_the_whole(
    samples: int, seed: int, level: float, loud: list[tuple[int, int]]
) -> None:
    signs = np.random.default_rng(seed).choice(np.array([-1, 1], np.float32), samples)
    wave = signs * np.float32(level)
    for at, length in loud:
        wave[at : at + length] *= np.float32(1.5)
    assert is_silent(wave) == all_at_once(wave)


def test_level_is_the_rms_against_full_scale() -> None:
    assert Segment(0, 0, 400, 400, np.full(400, 0.1, np.float32)).level_dbfs == pytest.approx(-20)
    assert Segment(0, 0, 400, 400, np.zeros(400, np.float32)).level_dbfs == -120


def test_the_voice_detector_equals_its_streaming_variant_bit_for_bit(session: Any, conversation: Wave) -> None:
    import importlib.util
    from pathlib import Path

    import onnxruntime

    spec = importlib.util.find_spec("silero_vad")
    assert spec is not None
    assert spec.origin is not None
    streaming = onnxruntime.InferenceSession(
        str(Path(spec.origin).parent / "data/silero_vad.onnx"), providers=["CPUExecutionProvider"]
    )
    windows = conversation[: 200 * WINDOW].reshape(-1, WINDOW)
    state, context, expected = np.zeros((2, 1, 128), np.float32), np.zeros(64, np.float32), []
    for window in windows:
        given = {"input": np.concatenate([context, window])[None], "state": state, "sr": np.array(16_000)}
        probability, state = streaming.run(None, given)
        expected.append(probability[0, 0])
        context = window[-64:]
    ear = Voice(session)
    np.testing.assert_array_equal(
        np.concatenate([ear._probabilities(windows[:7]), ear._probabilities(windows[7:])]), expected
    )
