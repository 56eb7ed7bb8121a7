import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.audio.sniff import Kind, sniff
from streamproc.errors import PoisonError, Reason
from tests.unit.audio.sounds import contained, encoded, noise

ID3 = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)
STEREO = noise(0.3, 48_000, 2)
SAMPLES = {
    Kind.WAV: encoded(STEREO, 48_000, "WAV"),
    Kind.FLAC: encoded(STEREO, 48_000, "FLAC"),
    Kind.VORBIS: encoded(STEREO, 48_000, "OGG", "VORBIS"),
    Kind.OPUS: encoded(STEREO, 48_000, "OGG", "OPUS"),
    Kind.MP3: encoded(STEREO, 48_000, "MP3"),
    Kind.MP4: contained(STEREO, 48_000, "mp4", "aac"),
    Kind.WEBM: contained(STEREO, 48_000, "webm", "libopus"),
}


@pytest.mark.parametrize("kind", Kind)
def test_a_recording_is_known_by_its_first_bytes(kind: Kind) -> None:
    assert sniff(SAMPLES[kind]) is kind


@pytest.mark.parametrize("kind", [Kind.MP3, Kind.FLAC])
def test_an_id3_tag_in_front_is_stepped_over(kind: Kind) -> None:
    assert sniff(ID3 + SAMPLES[kind]) is kind
    assert sniff(ID3 + ID3 + SAMPLES[kind]) is kind


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100])
def test_each_version_of_mp3_is_known_by_two_frame_headers(rate: int) -> None:
    assert sniff(encoded(noise(0.3, rate), rate, "MP3")) is Kind.MP3


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 4096,
        b"hello, this is a text named voice.wav\n" * 20,
        encoded(STEREO, 48_000, "AIFF"),
        encoded(STEREO, 48_000, "AU"),
        encoded(STEREO, 48_000, "W64"),
        b"RIFF\x10\0\0\0AVI LIST",
        b"OggS\0" + bytes(21) + b"\x01\x08Speex   1.2",
        b"OggS",
        b"\xff\xf1\x50\x80" * 100,  # AAC in ADTS: the same sync bits as MP3
        b"\xff\xfb\x90\x00" + b"\x55" * 2000,  # one MP3 header and no second one
        b"#EXTM3U\nhttp://169.254.169.254/latest\n",
        b"ID3\x04\x00\x00\x7f\x7f\x7f\x7f",
        b"%PDF-1.7",
    ],
)
def test_anything_else_is_unsupported(data: bytes) -> None:
    with pytest.raises(PoisonError) as caught:
        sniff(data)
    assert caught.value.reason is Reason.FORMAT_UNSUPPORTED


@given(
    st.one_of(
        st.binary(max_size=400),
        st.sampled_from([b"OggS", b"ID3\x04", b"\xff\xfb"]).flatmap(
            lambda magic: st.binary(max_size=400).map(lambda rest: magic + rest)
        ),
    )
)
def test_whatever_the_bytes_are_the_answer_is_a_kind_or_unsupported(data: bytes) -> None:
    try:
        answer: object = sniff(data)
    except PoisonError as error:
        answer = error.reason
    assert answer is Reason.FORMAT_UNSUPPORTED or isinstance(answer, Kind)
