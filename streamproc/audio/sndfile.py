"""FLAC, and Ogg of one part, by libsndfile."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import soundfile
from numpy.typing import NDArray

from streamproc.audio.limits import refused
from streamproc.audio.sniff import Kind
from streamproc.audio.stream import BLOCK_SAMPLES, Stream
from streamproc.errors import Reason

FORMATS = {Kind.FLAC: "FLAC", Kind.VORBIS: "OGG", Kind.OPUS: "OGG"}


class _Forward(soundfile.SoundFile):  # type: ignore[misc]  # soundfile ships no types
    """Read from the start to the end and never back.

    After each read of a file that can seek, soundfile seeks to where it stands already: work for nothing, and a codec
    that is told to move may forget what its next samples depend on.
    """

    def seekable(self) -> bool:
        return False


@contextmanager
def open_sndfile(kind: Kind, descriptor: int) -> Iterator[Stream]:
    """Open by descriptor. Raises PoisonError(decode_failed; format_unsupported when libsndfile sees another format).

    The number of frames is certain in FLAC alone: in Ogg it is the last page that is there.
    """
    with _translated():
        sound = _Forward(descriptor, closefd=False)
    with sound:
        if sound.format != FORMATS[kind]:
            raise refused(Reason.FORMAT_UNSUPPORTED, f"it begins like {kind} and reads as {sound.format}")
        short_by = 0 if kind is Kind.FLAC else None
        yield Stream(sound.samplerate, sound.channels, kind, sound.frames, short_by, _blocks(sound))


def _blocks(sound: _Forward) -> Iterator[NDArray[np.float32]]:
    frames = BLOCK_SAMPLES // sound.channels
    while True:
        with _translated():
            block: NDArray[np.float32] = sound.read(frames, dtype="float32", always_2d=True)
        if not len(block):
            return
        yield block


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except soundfile.LibsndfileError as error:
        raise refused(Reason.DECODE_FAILED, f"libsndfile: {error.error_string}") from error
