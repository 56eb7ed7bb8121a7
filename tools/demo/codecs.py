"""How the demo's recordings are coded; every coder is in the wheels of soundfile and PyAV."""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
from scipy.signal import resample_poly

from tools.demo.scenes import Sound
from tools.demo.speech import SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Codec:
    """A container with a coding, in soundfile's words."""

    words: str
    suffix: str
    container: str
    subtype: str
    compression: float | None = None

    def write(self, file: Path, sound: Sound, rate: int) -> None:
        """Code ``sound`` ([samples, channels]) at ``rate``."""
        soundfile.write(file, sound, rate, self.subtype, format=self.container, compression_level=self.compression)


@dataclass(frozen=True, slots=True)
class Aac:
    """AAC in an MPEG-4 file, which libsndfile does not know."""

    bit_rate: int
    words: str = "m4a, AAC"
    suffix: str = ".m4a"

    def write(self, file: Path, sound: Sound, rate: int) -> None:
        """Code ``sound`` ([samples, channels]) at ``rate``."""
        layout = {1: "mono", 2: "stereo"}[sound.shape[1]]
        with av.open(str(file), "w", format="mp4") as container:
            stream = container.add_stream("aac", rate=rate, layout=layout)
            stream.bit_rate = self.bit_rate
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(sound.T), "fltp", layout)
            frame.sample_rate = rate
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))


AnyCodec = Codec | Aac

WAV = Codec("wav, 16 bit", ".wav", "WAV", "PCM_16")
WAV_24 = Codec("wav, 24 bit", ".wav", "WAV", "PCM_24")
WAV_FLOAT = Codec("wav, float", ".wav", "WAV", "FLOAT")
WAV_8 = Codec("wav, 8 bit", ".wav", "WAV", "PCM_U8")
MU_LAW = Codec("wav, mu-law", ".wav", "WAV", "ULAW")
A_LAW = Codec("wav, A-law", ".wav", "WAV", "ALAW")
FLAC = Codec("flac, 16 bit", ".flac", "FLAC", "PCM_16", 1.0)
FLAC_24 = Codec("flac, 24 bit", ".flac", "FLAC", "PCM_24", 1.0)
MP3 = Codec("mp3", ".mp3", "MP3", "MPEG_LAYER_III", 0.8)
VORBIS = Codec("ogg, Vorbis", ".ogg", "OGG", "VORBIS", 0.8)
OPUS = Codec("ogg, Opus", ".opus", "OGG", "OPUS", 0.93)
AAC = Aac(bit_rate=48_000)


def resampled(sound: Sound, rate: int) -> Sound:
    """From the 16 kHz of the synthesis to ``rate``."""
    common = np.gcd(rate, SAMPLE_RATE)
    return np.asarray(resample_poly(sound, rate // common, SAMPLE_RATE // common, axis=0), np.float32)
