import io
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from streamproc.audio.decode import open_stream
from streamproc.audio.limits import Limits
from streamproc.errors import PoisonError, Reason
from tests.unit.audio.sounds import LIMITS, Wave, contained, descriptor_of, encoded, noise, reference

CLIPS = Path(__file__).parents[3] / "streamproc" / "demo" / "clips"
STEREO = noise(2, 44_100, 2)
STEREO_48 = noise(2, 48_000, 2)
FLAC = encoded(STEREO, 44_100, "FLAC")
M4A = contained(STEREO, 44_100, "mp4", "aac")
FASTSTART = contained(STEREO, 44_100, "mp4", "aac", {"movflags": "faststart"})
WEBM = contained(STEREO_48, 48_000, "webm", "libopus")
FORMATS = {
    "wav": (encoded(STEREO, 44_100, "WAV"), "pcm_s16le", None),
    "flac": (FLAC, "flac", None),
    "vorbis": (encoded(STEREO, 44_100, "OGG", "VORBIS"), "vorbis", None),
    "opus": (encoded(STEREO_48, 48_000, "OGG", "OPUS"), "opus", None),
    "mp3": (encoded(STEREO, 44_100, "MP3"), "mp3", "mp3"),
    "m4a, index at the end": (M4A, "aac", "mov"),
    "m4a, index in front": (FASTSTART, "aac", "mov"),
    "webm": (WEBM, "opus", "matroska"),
}


def decoded(data: bytes, limits: Limits = LIMITS) -> tuple[Wave, str]:
    with descriptor_of(data) as descriptor, open_stream(descriptor, limits) as stream:
        return np.concatenate(list(stream.blocks)), stream.codec


def refusal_of(data: bytes, limits: Limits = LIMITS) -> PoisonError:
    with pytest.raises(PoisonError) as caught:
        decoded(data, limits)
    return caught.value


def endless(flac: bytes) -> bytes:
    """As a writer leaves it that could not seek back: the number of frames is 0."""
    return flac[:21] + bytes([flac[21] & 0xF0]) + bytes(4) + flac[26:]


@pytest.mark.parametrize("name", FORMATS)
def test_blocks_equal_decoding_at_once(name: str) -> None:
    data, codec, demuxer = FORMATS[name]
    samples, named = decoded(data)
    assert named == codec
    np.testing.assert_array_equal(samples, reference(data, demuxer)[0])


@pytest.mark.parametrize("path", sorted(CLIPS.glob("*.mp3")), ids=lambda path: path.name)
def test_speech_in_mp3_is_the_same_in_blocks_as_at_once(path: Path) -> None:
    # Speech makes an encoder borrow bits from frames before; whoever seeks between blocks loses them.
    data = path.read_bytes()
    samples, _ = decoded(data)
    np.testing.assert_array_equal(samples, reference(data, "mp3")[0])
    by_another_decoder, _ = soundfile.read(path, dtype="float32", always_2d=True)
    np.testing.assert_allclose(samples, by_another_decoder, atol=1e-5)


QUIET_THEN_LOUD = np.concatenate([noise(2, level=1e-4), noise(5)])
FRAME = 1152


@pytest.mark.parametrize("bitrate", [{"qscale": "2"}, {"abr": "1", "b": "64000"}, {}], ids=["vbr", "abr", "cbr"])
@pytest.mark.parametrize("xing", ["0", "1"])
def test_mp3_is_decoded_whole_whatever_its_header_lets_one_guess(bitrate: dict[str, str], xing: str) -> None:
    data = contained(QUIET_THEN_LOUD, 16_000, "mp3", "libmp3lame", {"write_xing": xing}, bitrate)
    assert 0 <= len(decoded(data)[0]) - len(QUIET_THEN_LOUD) < 3 * FRAME


@pytest.mark.parametrize("xing", ["0", "1"])
@pytest.mark.parametrize("between", [b"", b"TAG" + bytes(125), b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)])
def test_joined_mp3_files_are_one_recording(between: bytes, xing: str) -> None:
    data = contained(QUIET_THEN_LOUD, 16_000, "mp3", "libmp3lame", {"write_xing": xing})
    samples, _ = decoded(data + between + data)
    assert abs(len(samples) - 2 * len(QUIET_THEN_LOUD)) < 4 * FRAME
    middle = len(QUIET_THEN_LOUD) + 3 * FRAME
    assert samples[middle + 32_000 :].std() > 0.05


def test_joined_mp3_files_of_different_rates_are_refused() -> None:
    other = encoded(STEREO, 44_100, "MP3")
    assert refusal_of(FORMATS["mp3"][0] + encoded(noise(1), 16_000, "MP3")).reason is Reason.DECODE_FAILED
    assert refusal_of(encoded(noise(1), 16_000, "MP3") + other).reason is Reason.DECODE_FAILED


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_every_part_of_a_chained_ogg_is_decoded(codec: str) -> None:
    parts = [encoded(noise(3, 48_000, seed=seed), 48_000, "OGG", codec) for seed in range(3)]
    samples, named = decoded(b"".join(parts))
    assert named == codec.lower()
    assert len(samples) == pytest.approx(9 * 48_000, abs=3 * FRAME)
    assert samples[-48_000:].std() > 0.05


@pytest.mark.parametrize("codec", ["VORBIS", "OPUS"])
def test_a_chained_ogg_whose_parts_do_not_fit_is_refused_and_not_cut(codec: str) -> None:
    first = encoded(noise(1, 48_000), 48_000, "OGG", codec)
    for other in ("VORBIS", "OPUS"):
        stereo = encoded(noise(1, 48_000, 2), 48_000, "OGG", other)
        assert refusal_of(first + stereo).reason is Reason.DECODE_FAILED


def test_alac_keeps_the_integers_of_its_source() -> None:
    source = (noise(1, 16_000, 2) * 2**15).round() / 2**15
    samples, codec = decoded(contained(source.astype(np.float32), 16_000, "ipod", "alac"))
    assert codec == "alac"
    np.testing.assert_allclose(samples[: len(source)], source, atol=2**-15)


def test_flac_of_unknown_length_is_decoded_whole() -> None:
    np.testing.assert_array_equal(decoded(endless(FLAC))[0], decoded(FLAC)[0])


ID3 = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)


@pytest.mark.parametrize("tags", [ID3, ID3 + ID3], ids=["one", "two"])
@pytest.mark.parametrize("data", [FLAC, endless(FLAC)], ids=["of known length", "of unknown length"])
def test_flac_behind_id3_tags_is_decoded(tags: bytes, data: bytes) -> None:
    np.testing.assert_array_equal(decoded(tags + data)[0], decoded(FLAC)[0])


@pytest.mark.parametrize(
    ("name", "kept"),
    [("flac", 0.5), ("flac", 0.99), ("wav", 0.5), ("m4a, index at the end", 0.5), ("m4a, index in front", 0.5)],
)
def test_a_cut_recording_is_refused_where_its_format_shows_it(name: str, kept: float) -> None:
    data = FORMATS[name][0]
    assert refusal_of(data[: int(len(data) * kept)]).reason is Reason.DECODE_FAILED


def streamed(name: str) -> bytes:
    """Six seconds: Ogg and WebM lose the whole page or cluster that was cut, a second or more."""
    wave = noise(6, 48_000, 2)
    if name == "webm":
        return contained(wave, 48_000, "webm", "libopus")
    return encoded(wave, 48_000, "MP3") if name == "mp3" else encoded(wave, 48_000, "OGG", name.upper())


@pytest.mark.parametrize("name", ["mp3", "vorbis", "opus", "webm"])
def test_a_cut_recording_of_a_streamed_format_gives_what_came(name: str) -> None:
    data = streamed(name)
    samples, _ = decoded(data[: len(data) // 2])
    assert 0 < len(samples) < len(decoded(data)[0])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_a_sample_that_is_no_number_is_refused(value: float, subtype: str) -> None:
    wave = STEREO.copy()
    wave[50_000, 1] = value
    assert refusal_of(encoded(wave, 44_100, "WAV", subtype)).reason is Reason.DECODE_FAILED


def test_a_double_that_no_float_can_hold_is_refused() -> None:
    wave = STEREO.astype(np.float64)
    wave[9, 0] = 1e300
    assert refusal_of(encoded(wave, 44_100, "WAV", "DOUBLE")).reason is Reason.DECODE_FAILED  # type: ignore[arg-type]  # a double on purpose


@pytest.mark.parametrize(
    "data",
    [
        encoded(noise(0.01, 8_000, 1000), 8_000, "WAV"),
        encoded(np.zeros((1000, 1), np.float32), 1_000, "WAV"),
        encoded(np.zeros((1000, 1), np.float32), 384_000, "WAV"),
        encoded(np.zeros((1000, 1), np.float32), 384_000, "FLAC"),
    ],
    ids=["1000 channels", "1 kHz", "384 kHz", "384 kHz flac"],
)
def test_a_header_outside_the_limits_is_refused(data: bytes) -> None:
    assert refusal_of(data).reason is Reason.AUDIO_LIMITS


@pytest.mark.parametrize("name", FORMATS)
def test_channels_over_the_limit_are_refused_in_every_format(name: str) -> None:
    assert refusal_of(FORMATS[name][0], replace(LIMITS, max_channels=1)).reason is Reason.AUDIO_LIMITS


@pytest.mark.parametrize("name", FORMATS)
def test_audio_over_the_limit_is_refused_in_every_format(name: str) -> None:
    assert refusal_of(FORMATS[name][0], replace(LIMITS, max_seconds=1.5)).reason is Reason.AUDIO_TOO_LONG


def test_audio_that_is_longer_than_it_says_is_refused_while_it_is_decoded() -> None:
    assert refusal_of(endless(FLAC), replace(LIMITS, max_seconds=1.5)).reason is Reason.AUDIO_TOO_LONG


def test_a_declared_length_is_refused_before_anything_is_decoded() -> None:
    bomb = encoded(np.zeros((48_000, 8), np.float32), 192_000, "FLAC")
    hours = (4 * 3600 * 192_000 + 1).to_bytes(5)
    data = bomb[:21] + bytes([bomb[21] & 0xF0 | hours[0]]) + hours[1:] + bomb[26:]
    assert refusal_of(data).reason is Reason.AUDIO_TOO_LONG


def test_a_container_without_audio_is_unsupported() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10, width=32, height=32, pix_fmt="yuv420p")
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert refusal_of(file.getvalue()).reason is Reason.FORMAT_UNSUPPORTED


def test_a_codec_that_is_not_on_the_list_is_unsupported() -> None:
    assert refusal_of(contained(STEREO_48, 48_000, "mp4", "ac3")).reason is Reason.FORMAT_UNSUPPORTED


def test_a_container_that_only_begins_like_one_is_refused() -> None:
    for magic in (b"\0\0\0\x18ftypisom", b"\x1a\x45\xdf\xa3", b"fLaC", b"RIFF\0\0\0\0WAVE"):
        for rest in (0, 1, 20, 500):
            assert refusal_of(magic + bytes(rest)).reason is Reason.DECODE_FAILED


def test_an_empty_recording_is_refused() -> None:
    assert refusal_of(b"").reason is Reason.FORMAT_UNSUPPORTED


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_descriptors_do_not_leak_whatever_happens() -> None:
    before = open_descriptors()
    for data in (FLAC, FLAC[:5000], M4A, M4A[:5000], WEBM, b"\x1a\x45\xdf\xa3", b"fLaC" + bytes(99)):
        with suppress(PoisonError), descriptor_of(data) as descriptor, open_stream(descriptor, LIMITS) as stream:
            next(stream.blocks)
    assert open_descriptors() == before
