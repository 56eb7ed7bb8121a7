from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from streamproc.audio.decode import open_stream
from streamproc.audio.prepare import _mean, prepare
from streamproc.audio.segment import Segment
from streamproc.audio.voice import load_session
from streamproc.errors import PoisonError, Reason
from streamproc.records.recording import Channels
from tests.unit.audio.sounds import (
    LIMITS,
    Wave,
    contained,
    descriptor_of,
    encoded,
    noise,
    reference,
    reference_16k,
    talk,
)

TOLERANCE = 1e-6


@pytest.fixture(scope="module")
def session() -> Any:
    return load_session()


def segments_of(data: bytes, session: Any, channels: Channels = "mix") -> list[Segment]:
    with descriptor_of(data) as descriptor, open_stream(descriptor, LIMITS) as stream:
        return list(prepare(stream, channels, session))


@pytest.mark.parametrize("rate", [4_000, 8_000, 11_025, 16_000, 22_050, 44_100, 44_101, 48_000, 96_000, 192_000])
@pytest.mark.parametrize("seconds", [0.3, 14.9])
def test_a_short_recording_is_what_the_reference_is_given(session: Any, rate: int, seconds: float) -> None:
    data = encoded(noise(seconds, rate, 2), rate, "WAV")
    (segment,) = segments_of(data, session)
    assert segment.channel == -1
    np.testing.assert_allclose(segment.wave, reference_16k(data), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(
    ("form", "subtype"), [("WAV", "ULAW"), ("FLAC", None), ("MP3", None), ("OGG", "VORBIS"), ("OGG", "OPUS")]
)
def test_so_it_is_in_every_format_of_libsndfile(session: Any, form: str, subtype: str | None) -> None:
    data = encoded(noise(3.7, 48_000, 2), 48_000, form, subtype)
    (segment,) = segments_of(data, session)
    np.testing.assert_allclose(segment.wave, reference_16k(data), atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(("form", "codec", "demuxer"), [("mp4", "aac", "mov"), ("webm", "libopus", "matroska")])
def test_and_in_every_container_of_ffmpeg(session: Any, form: str, codec: str, demuxer: str) -> None:
    data = contained(noise(3.7, 48_000, 2), 48_000, form, codec)
    (segment,) = segments_of(data, session)
    np.testing.assert_allclose(segment.wave, reference_16k(data, demuxer), atol=TOLERANCE, rtol=0)


FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(arrays(np.float32, st.tuples(st.integers(1, 40), st.just(1)), elements=FLOATS))
def test_one_channel_is_its_own_mean_to_the_bit(block: Wave) -> None:
    with np.errstate(over="ignore"):
        mean = block.mean(axis=1, keepdims=True)
    assert _mean(block).tobytes() == mean.tobytes()


def test_a_mean_that_overflows_is_refused() -> None:
    with pytest.raises(PoisonError) as caught:
        _mean(np.full((4, 2), np.finfo(np.float32).max, np.float32))
    assert caught.value.reason is Reason.DECODE_FAILED


def test_fifteen_seconds_are_one_segment_and_a_sample_of_the_file_more_is_not(session: Any) -> None:
    wave = noise(15, 44_100, level=0.003)
    (segment,) = segments_of(encoded(wave, 44_100, "WAV"), session)
    assert len(segment.wave) == 240_000
    longer = np.concatenate([wave, wave[:3]])
    assert segments_of(encoded(longer, 44_100, "WAV"), session) == []


def test_split_gives_each_channel_apart_and_leaves_out_a_silent_one(session: Any) -> None:
    import soxr

    wave = noise(2, 44_100, 3)
    wave[:, 1] = 0
    data = encoded(wave, 44_100, "FLAC")
    first, second = segments_of(data, session, "split")
    assert (first.channel, second.channel) == (0, 2)
    samples, rate = reference(data)
    for segment in (first, second):
        expected = soxr.resample(samples[:, segment.channel], rate, 16_000, quality="HQ")
        np.testing.assert_allclose(segment.wave, expected, atol=TOLERANCE, rtol=0)


def test_a_long_split_recording_gives_segments_in_order_of_start_and_channel(session: Any) -> None:
    left = talk([(12, 1), (3, 2), (6, 1)])
    right = talk([(2, 1), (2, 1), (2, 9), (2, 1), (4, 1)])
    wave = np.stack([left, right], axis=1)
    segments = segments_of(encoded(wave, 16_000, "FLAC"), session, "split")
    places = [(s.start, s.channel) for s in segments]
    assert places == sorted(places)
    alone = [segments_of(encoded(wave[:, c : c + 1], 16_000, "FLAC"), session, "split") for c in (0, 1)]
    assert places == sorted((s.start, c) for c in (0, 1) for s in alone[c])
    assert {channel for _, channel in places} == {0, 1}


@pytest.mark.parametrize("rate", [4_000, 8_000, 16_000, 44_100, 48_000])
def test_under_25_ms_is_no_segment_and_25_ms_is_one(session: Any, rate: int) -> None:
    frames = -(-rate * 25 // 1000)
    wave = noise(1, rate)
    assert segments_of(encoded(wave[: frames - 1], rate, "WAV"), session) == []
    (segment,) = segments_of(encoded(wave[:frames], rate, "WAV"), session)
    assert len(segment.wave) >= 400


def test_no_samples_at_all_are_no_segment(session: Any) -> None:
    assert segments_of(encoded(noise(0), 16_000, "WAV"), session) == []


@pytest.mark.parametrize("seconds", [1, 20])
def test_silence_is_no_segment(session: Any, seconds: float) -> None:
    assert segments_of(encoded(np.zeros((int(seconds * 8_000), 2), np.float32), 8_000, "WAV"), session) == []


def test_samples_too_large_for_their_mean_are_refused(session: Any) -> None:
    wave: Wave = np.full((16_000, 2), 3e38, np.float32)
    with pytest.raises(PoisonError) as caught:
        segments_of(encoded(wave, 16_000, "WAV", "FLOAT"), session)
    assert caught.value.reason is Reason.DECODE_FAILED
