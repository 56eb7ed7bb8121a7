"""What is set below ``audio``."""

from streamproc.kinds import Count, Positive
from streamproc.settings.section import Section


class AudioSettings(Section):
    """What is accepted as a recording, and the sandbox that decodes it."""

    max_object_bytes: Count = 256 * 1024**2
    """A larger recording is a dead letter, ``object_too_large``."""
    max_seconds: Positive = 4 * 3600
    """A longer recording is a dead letter, ``audio_too_long``."""
    min_sample_rate: Count = 4_000
    max_sample_rate: Count = 192_000
    max_channels: Count = 8
    decoders: Count = 2
    """Processes that decode, one recording each at a time."""
    decoder_memory_bytes: Count = 1536 * 1024**2
    """Address space of one of them."""
    decode_timeout_s: Positive = 30
    """Wall time for one file; two seconds more are granted for each minute of audio in it, and always for the first."""
