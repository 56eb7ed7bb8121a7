import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from streamproc.audio.wav import read_blocks, read_layout, to_float
from streamproc.errors import PoisonError, Reason
from tests.unit.audio.sounds import Wave, descriptor_of, encoded, noise, with_data_size

STEREO = noise(0.25, 8_000, 2)
WAV = encoded(STEREO, 8_000, "WAV", "PCM_16")
SUBTYPES = {
    "PCM_U8": "pcm_u8",
    "PCM_16": "pcm_s16le",
    "PCM_24": "pcm_s24le",
    "PCM_32": "pcm_s32le",
    "FLOAT": "pcm_f32le",
    "DOUBLE": "pcm_f64le",
    "ULAW": "pcm_mulaw",
    "ALAW": "pcm_alaw",
}


def samples_of(data: bytes, block_frames: int = 300) -> Wave:
    with descriptor_of(data) as descriptor:
        return np.concatenate(list(read_blocks(descriptor, read_layout(data), block_frames)))


def refusal_of(data: bytes) -> PoisonError:
    with pytest.raises(PoisonError) as caught:
        read_layout(data)
    return caught.value


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("subtype", SUBTYPES)
def test_samples_equal_libsndfile_bit_for_bit(form: str, subtype: str) -> None:
    data = encoded(STEREO, 8_000, form, subtype)
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    assert read_layout(data).codec == SUBTYPES[subtype]
    np.testing.assert_array_equal(samples_of(data), expected)


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW", "PCM_U8"])
def test_every_code_of_an_8_bit_codec_equals_libsndfile(subtype: str) -> None:
    silent = encoded(np.zeros((256, 1), np.float32), 8_000, "WAV", subtype)
    at = silent.index(b"data") + 8
    data = silent[:at] + bytes(range(256)) + silent[at + 256 :]
    expected, _ = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    np.testing.assert_array_equal(samples_of(data), expected)


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "GSM610"])
def test_a_compressed_wav_is_unsupported(subtype: str) -> None:
    assert refusal_of(encoded(STEREO[:, :1], 8_000, "WAV", subtype)).reason is Reason.FORMAT_UNSUPPORTED


@pytest.mark.parametrize("kept", [len(WAV) - 1, len(WAV) // 2, 50])
def test_a_wav_that_was_cut_is_truncated(kept: int) -> None:
    error = refusal_of(WAV[:kept])
    assert error.reason is Reason.DECODE_FAILED
    assert "truncated" in error.message


def test_a_header_that_claims_a_gigabyte_is_truncated() -> None:
    assert "truncated" in refusal_of(with_data_size(WAV, 2**30)[:144]).message


@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFF00, 0xFFFFFFFF], ids=hex)
def test_a_size_that_a_streaming_writer_left_open_means_up_to_the_end(size: int) -> None:
    unclosed = WAV[:4] + b"\xff\xff\xff\xff" + WAV[8:]
    np.testing.assert_array_equal(samples_of(with_data_size(unclosed, size)), samples_of(WAV))


def test_a_closed_file_with_no_samples_has_none_although_other_chunks_follow() -> None:
    empty = encoded(STEREO[:0], 8_000, "WAV")
    tail = b"LIST" + struct.pack("<I", 4) + b"INFO"
    data = empty[:4] + struct.pack("<I", len(empty) + len(tail) - 8) + empty[8:] + tail
    assert read_layout(data).frames == 0


def test_chunks_before_the_samples_are_stepped_over_odd_ones_with_their_padding() -> None:
    at = WAV.index(b"data")
    data = WAV[:at] + b"junk" + struct.pack("<I", 3) + b"abc\0" + WAV[at:]
    np.testing.assert_array_equal(samples_of(data), samples_of(WAV))


@pytest.mark.parametrize(
    "data",
    [
        WAV[:12],
        WAV[:20],
        WAV[:12] + WAV[WAV.index(b"data") :],  # no format chunk
        WAV[:12] + (b"junk" + bytes(4)) * 100_000,  # a walk that would not end
        WAV[:32] + b"\x07\x00" + WAV[34:],  # frames that are not channels times bits
    ],
)
def test_a_broken_header_is_refused(data: bytes) -> None:
    assert refusal_of(data).reason is Reason.DECODE_FAILED


@given(at=st.integers(12, 47), value=st.binary(min_size=1, max_size=8), cut=st.integers(12, len(WAV)))
def test_a_damaged_header_never_leads_outside_the_file(at: int, value: bytes, cut: int) -> None:
    data = (WAV[:at] + value + WAV[at + len(value) :])[:cut]
    try:
        layout = read_layout(data)
    except PoisonError as error:
        refusal = error.reason
    else:
        assert layout.offset + layout.frames * layout.frame_bytes <= len(data)
        return
    assert refusal in {Reason.DECODE_FAILED, Reason.FORMAT_UNSUPPORTED}


def test_every_sample_of_16_bits_is_itself_over_full_scale_to_the_bit() -> None:
    samples = np.arange(-(2**15), 2**15, dtype="<i2")
    expected = samples.astype(np.float32) / np.float32(2**15)
    assert to_float(samples.tobytes(), "pcm_s16le").tobytes() == expected.tobytes()
