"""What is set below ``flow``."""

from streamproc.kinds import Count, Positive
from streamproc.settings.section import Section


class FlowSettings(Section):
    """Ceilings of what is in flight."""

    micro_batch_records: Count = 512
    """The most records of one commit."""
    linger_s: Positive = 0.05
    """How long a poll gathers records."""
    micro_batches: Count = 4
    """How many may be in flight at a time."""
    in_flight_bytes: Count = 512 * 1024**2
    """The most bytes of recordings in flight."""
    in_flight_audio_s: Positive = 3_600
    """The most audio in flight, in seconds; waveforms take 64 KB a second."""
    drain_s: Positive = 60
    """How long a stop, or partitions that are given back, may wait for what is in flight."""
    io_threads: Count = 16
    """Threads that fetch from the store."""
    pause_after_s: Positive = 5
    """A pause throws the prefetch away, so short back-pressure is waited out."""
    produce_again: Count = 10
    """How often the outcomes of an aborted transaction are produced again before the process gives up."""
    max_header_count: Count = 64
    """A record with more headers, or more bytes of them, is a dead letter."""
    max_header_bytes: Count = 64 * 1024
