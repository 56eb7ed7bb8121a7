"""What is accepted as a recording, and the errors that say why something is not."""

from dataclasses import dataclass

from streamproc.errors import PoisonError, Reason, Stage

SECONDS_PER_MINUTE_OF_AUDIO = 2.0
"""Time granted on top of ``timeout_s`` for each minute of audio. Measured on two cores that ten processes wanted, a
minute took 0.1 (FLAC at 16 kHz) to 0.6 s (stereo Opus) of CPU and up to 1.3 s on the wall: less would turn good
recordings of hours into dead letters whenever a machine is busy."""
FIRST_S = 60.0
"""Audio-seconds that are granted their time before anything is known of the recording."""
READABLE = 200
"""Most characters of a foreign library's text that go into a message."""


def refused(reason: Reason, message: str) -> PoisonError:
    """The error of a recording that no second try will make decodable."""
    return PoisonError(reason, Stage.PREPARE, message)


def readable(error: Exception) -> str:
    """A foreign library's text, safe to store: hostile files choose parts of it."""
    text = "".join(c if c.isprintable() else " " for c in str(error)[:READABLE])
    return f"{type(error).__name__}: {text}".rstrip(": ")


@dataclass(frozen=True, slots=True)
class Limits:
    """Ceilings of one recording; ``memory_bytes`` and the times are those of the process that decodes it."""

    max_seconds: float
    min_sample_rate: int
    max_sample_rate: int
    max_channels: int
    memory_bytes: int
    timeout_s: float

    def check_format(self, sample_rate: int, channel_count: int) -> None:
        """Raise PoisonError(audio_limits). Called on the header, before memory is sized by it."""
        if not self.min_sample_rate <= sample_rate <= self.max_sample_rate:
            raise refused(
                Reason.AUDIO_LIMITS,
                f"{sample_rate} Hz is outside {self.min_sample_rate} to {self.max_sample_rate} Hz",
            )
        if not 1 <= channel_count <= self.max_channels:
            raise refused(Reason.AUDIO_LIMITS, f"{channel_count} channels; 1 to {self.max_channels} are accepted")

    def check_frames(self, frames: int, sample_rate: int) -> None:
        """Raise PoisonError(audio_too_long). Called on what is declared, and again on what came: headers lie."""
        if frames > self.max_seconds * sample_rate:
            raise refused(
                Reason.AUDIO_TOO_LONG,
                f"at least {frames / sample_rate:.0f} s of audio; {self.max_seconds:g} s are accepted",
            )

    def allowed_s(self, audio_s: float) -> float:
        """Seconds that a file may take when it holds ``audio_s`` of audio, all analysed channels together.

        The first minute is granted to all: so nobody has to be told how long a short one is. Bounded whatever is
        claimed: nothing longer than the longest recording with all its channels is granted time.
        """
        audio_s = max(FIRST_S, min(audio_s, self.max_seconds * self.max_channels))
        return self.timeout_s + SECONDS_PER_MINUTE_OF_AUDIO * audio_s / 60
