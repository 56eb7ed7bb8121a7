"""Weigh: what a recording will hold and take, estimated from its event before anything of it is known."""

from streamproc.errors import RecordError
from streamproc.records.recording import RecordingEvent
from streamproc.settings import FlowSettings, Settings
from streamproc.worker.core.backlog import Load
from streamproc.worker.core.credits import Weight
from streamproc.worker.core.price import Prices

Verdict = RecordingEvent | RecordError | None
"""The event, why there is none, or None while the registry has to be asked."""
UNDECLARED = Weight(256 * 1024, 5_000)
"""What a recording is taken to weigh whose event does not say, when micro-batches are cut; see ``reserve``."""
BYTES_PER_SECOND = 16_000
"""Of a recording whose event tells its size but not its length: between a coded file and plain PCM."""
SPLIT_CHANNELS = 2
"""Of a recording whose channels are analysed one by one: most are calls. How many there are, only the file tells."""


def weigh(event: RecordingEvent, size: int | None) -> Weight:
    """Estimate what a recording holds (bytes, ms): what is known of its size, and what its event declares."""
    audio_ms = event.duration_ms
    if audio_ms is None:
        audio_ms = UNDECLARED.audio_ms if size is None else 1000 * size // BYTES_PER_SECOND
    if size is None:
        size = UNDECLARED.size if event.duration_ms is None else audio_ms * BYTES_PER_SECOND // 1000
    return Weight(size, audio_ms)


def reserve(event: RecordingEvent, flow: FlowSettings, most_bytes: int) -> Weight:
    """What a recording holds while it is fetched: one that declares no size may turn out to be large."""
    size, audio_ms = weigh(event, event.size_bytes)
    if event.size_bytes is None:
        size = min(most_bytes, flow.in_flight_bytes // flow.io_threads)
    return Weight(size, audio_ms)


def load(verdict: Verdict, prices: Prices) -> Load:
    """What a record asks of its micro-batch. A bad one asks nothing of the device."""
    if isinstance(verdict, RecordError):
        return Load(1, UNDECLARED.size, 0, 0.0)
    size, audio_ms = UNDECLARED if verdict is None else weigh(verdict, verdict.size_bytes)
    channels = SPLIT_CHANNELS if verdict is not None and verdict.channels == "split" else 1
    return Load(1, size, audio_ms, channels * prices.seconds(audio_ms))


def share(settings: Settings) -> Load:
    """What one micro-batch may ask for: its part of what may be in flight, and of the time that a drain has.

    Of that time the longest that a transaction may last is left for the last one.
    """
    flow = settings.flow
    drain_s = flow.drain_s - settings.kafka.transaction_timeout_s
    return Load(
        flow.micro_batch_records,
        flow.in_flight_bytes // flow.micro_batches,
        round(1000 * flow.in_flight_audio_s / flow.micro_batches),
        drain_s / flow.micro_batches,
    )


def window(flow: FlowSettings) -> int:
    """How many offsets past its committed one a partition may have in flight: as many as all micro-batches hold.

    Twice that, for producers with transactions leave offsets without a record: one after each record at worst.
    """
    return 2 * flow.micro_batches * flow.micro_batch_records
