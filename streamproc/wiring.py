"""The only place that joins rooms: settings in, a worker, a prepared platform or a client out."""

import gc
import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from streamproc.arena import SLOT_SECONDS, Arena
from streamproc.audio.pool import DecoderPool
from streamproc.cache_root import cache_root
from streamproc.client.recordings import RecordingClient
from streamproc.dedupe.aliases import MemoryAliases
from streamproc.dedupe.archive import ArchiveTier
from streamproc.dedupe.memory import MemoryTier
from streamproc.dedupe.redis import RedisTier
from streamproc.emotion.device import DeviceProcess
from streamproc.emotion.directory import find_directory
from streamproc.emotion.engines import check_engine
from streamproc.entrance import open_front
from streamproc.errors import Fatal, FencedError, NoRestartError, StoreError, UsageError
from streamproc.kafka.admin import Answer, ask_broker, create_analytics_topics, create_topics
from streamproc.kafka.ends import PartitionEnds
from streamproc.kafka.event_codec import RegistryEventCodec
from streamproc.kafka.membership import Membership
from streamproc.kafka.newest import NewestRecords
from streamproc.kafka.own_schemas import look_up_outputs, register_schemas
from streamproc.kafka.registry import connect
from streamproc.kafka.sink import IdempotentSink, TransactionalSink
from streamproc.kafka.skew import Skew
from streamproc.kafka.slot import Slot, claim_slot
from streamproc.kafka.source import KafkaSource
from streamproc.local.signals import interrupted_by_sigterm
from streamproc.operate.warehouse.measure import Measure
from streamproc.operate.warehouse.unread import unread
from streamproc.operate.warehouse.watch import Watch
from streamproc.patience import Patience
from streamproc.records.analysis_codec import analysis_from_bytes, analysis_to_bytes
from streamproc.records.record import CommitOffset
from streamproc.settings import ModelSettings, Settings, TraceSettings, takeover_s
from streamproc.storage.causes import for_people
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import Clock, SystemClock
from streamproc.telemetry.http import Check, Endpoints, listen
from streamproc.telemetry.log import get_log
from streamproc.telemetry.memory import MemoryReading
from streamproc.telemetry.metrics import Metrics
from streamproc.telemetry.timesheet import Activity, Hand
from streamproc.worker.front import Front
from streamproc.worker.host import Host, Running
from streamproc.worker.ports import Assignments, Sink, Source, Spans
from streamproc.worker.runtime import Parts, Runtime, stop_on_signals
from streamproc.worker.step import Step
from streamproc.worker.stuck import Stuck, limits, longest_silence_s
from streamproc.worker.threads import ThreadHost
from streamproc.worker.timed_device import TimedDevice
from streamproc.worker.watchdog import Watchdog, end_process

log = get_log(__name__)

TWINS = "If this goes on, another worker uses slot {} too: give each machine its own STREAMPROC_KAFKA__SLOT"
CYCLES = (100_000, 20, 20)
"""When Python looks for cycles: after so many objects that were made and are not gone, among older ones after so many
such looks. By its own numbers (700, 10, 10) it walks many times over what one micro-batch has in flight, which takes a
fifth of the CPU of a repeated event (docs/benchmarks.md); cycles we hardly make."""
FENCED_S = 60.0
"""Fenced this soon after the start, twice in a row, somebody else runs with our slot: a restart would not help."""


def prepare(settings: Settings) -> None:
    """Make topics, schemas and the bucket; what is there already is left as it is.

    Raises UsageError for what cannot be made, DependencyDownError naming the server that does not answer.
    """
    create_topics(settings)
    create_analytics_topics(settings)
    with connect(settings.registry) as registry:
        register_schemas(registry, settings.topics)
    store = S3Store(settings.storage, 1, SystemClock())
    try:
        for bucket in sorted(settings.storage.buckets):
            store.ensure_bucket(bucket)
    except StoreError as error:
        raise for_people(error) from error
    finally:
        store.close()


@contextmanager
def open_client(settings: Settings) -> Iterator[RecordingClient]:
    """What upstream platforms use."""
    with RecordingClient(settings) as client:
        yield client


def run_worker(settings: Settings) -> None:
    """Run a worker in this process until SIGTERM or SIGINT. Raises StreamprocError with its exit code."""
    with open_front(settings) as front:
        work(settings, front)


def work(settings: Settings, front: Front) -> None:
    """The same behind a front that answers already."""
    clock, metrics = front.clock, front.metrics
    front.begin(Step.BROKER)
    slot = claim_slot(settings, socket.gethostname(), os.environ, slot_folder())
    with ExitStack() as stack:
        stack.callback(slot.release)
        runtime: Runtime | None = None

        def moves() -> int | None:
            # A start ends, well or not, before nothing has moved for too long.
            return runtime.moves if runtime else 0

        # Left before what the runtime does not own is closed, which has no time sheet.
        with watch_over(settings, moves, metrics, clock) as watchdog:
            log.info("worker starts", slot=str(slot.number), url=front.url)
            try:
                with interrupted_by_sigterm() as told_to_stop:  # nothing is in flight yet
                    patience = Patience(settings.worker, clock, missing=front.miss)
                    tell_broker(settings, patience(lambda: ask_broker(settings)))
                    front.begin(Step.REGISTRY)
                    runtime = build_worker(settings, slot, clock, metrics, stack, patience)
            except KeyboardInterrupt:
                log.info("stopped")
                return
            if told_to_stop():  # and a library has kept it to itself
                log.info("stopped")
                return
            front.take(runtime, watchdog)
            gc.set_threshold(*CYCLES)
            with stop_on_signals(runtime):
                try:
                    runtime.run()
                except FencedError as error:
                    raise judge_fence(settings, slot, error, started_s=runtime.uptime_s) from error


def slot_folder() -> Path:
    """Where the workers of this user and host find each other, whatever folder each was started in."""
    return Path(tempfile.gettempdir()) / f"streamproc-{os.getuid()}"


def build_worker(
    settings: Settings, slot: Slot, clock: Clock, metrics: Metrics, stack: ExitStack, patience: Patience
) -> Runtime:
    """Put a worker together; nothing is started. ``stack`` closes what the runtime does not own."""
    arena = Arena(slots(settings))
    store = S3Store(settings.storage, settings.flow.io_threads, clock)
    stack.callback(store.close)
    shared: RedisTier | None = None
    if settings.redis.url is not None and settings.redis.url.get_secret_value():
        shared = RedisTier(settings.redis, analysis_to_bytes, analysis_from_bytes, clock, metrics)
        stack.callback(shared.close)
    archive: ArchiveTier | None = None
    if settings.dedupe.archive:
        bucket = settings.storage.bucket
        archive = ArchiveTier(store, bucket, analysis_to_bytes, analysis_from_bytes, clock, metrics)
    source = SourceOpener(settings)
    registry = stack.enter_context(connect(settings.registry))
    device = DeviceProcess(located(settings), arena)
    host = ThreadHost(metrics.sheets)
    skew = Skew(metrics.clock_skew_seconds.set, clock.wall_ms)
    runtime = Runtime(
        settings,
        Parts(
            arena=arena,
            decoders=DecoderPool(arena, settings.audio),
            device=TimedDevice(device, host.sheet(Hand.DEVICE, Activity.START), metrics),
            open_source=source,
            sink=open_sink(settings, slot, source, skew),
            newest=NewestRecords(settings),
            codec=RegistryEventCodec(registry, settings.topics.recordings, clock.monotonic),
            rows=patience(lambda: look_up_outputs(registry, settings.topics)),
            store=store,
            near=MemoryTier(settings.dedupe.memory_bytes),
            near_aliases=MemoryAliases(settings.dedupe.alias_bytes),
            shared=shared,
            archive=archive,
            slot=str(slot.number),
            ends=PartitionEnds(settings),
            spans=open_traces(settings.trace, str(slot.number), stack),
        ),
        host,
        clock,
        metrics,
    )
    metrics.refresh.add(runtime.show)
    if shared is not None:
        metrics.refresh.add(beside(host, "redis", shared.look_again))
    metrics.refresh.add(MemoryReading(metrics, lambda: device.pid, accelerated=settings.model.device != "cpu"))
    return runtime


def beside(host: Host, name: str, call: Callable[[], None]) -> Callable[[], None]:
    """Have something that blocks called on a thread of its own, by one at a time; what it finds shows at the next look.

    An idle worker calls Redis for nothing else, and one that was away would be so until the next recording.
    """
    running: Running | None = None

    def begin() -> None:
        nonlocal running
        if running is None or not running.is_alive():
            running = host.start(name, call)

    return begin


def open_traces(settings: TraceSettings, slot: str, stack: ExitStack) -> Spans | None:
    """What makes spans, if traces are on. Raises UsageError when their library is not there."""
    if settings.endpoint is None:
        return None
    try:
        from streamproc.telemetry.spans import open_spans  # noqa: PLC0415  # an extra, and slow to import
    except ImportError as error:
        raise UsageError(f"trace.endpoint needs OpenTelemetry: pip install 'streamproc[otel]' ({error})") from None
    spans = open_spans(settings, slot)
    stack.callback(spans.close)
    return spans


def located(settings: Settings) -> ModelSettings:
    """The model's settings with the path of its directory in place of a name: the device process knows no cache."""
    check_engine(settings.model.engine)
    cache = cache_root(settings.local.cache_dir, os.environ)
    directory = find_directory(settings.model.name_or_dir, cache)
    return settings.model.model_copy(update={"name_or_dir": str(directory)})


def slots(settings: Settings) -> int:
    """How many slots the arena needs: what may be in flight, and one for each decoder to go on with."""
    return round(settings.flow.in_flight_audio_s / SLOT_SECONDS) + settings.audio.decoders


class SourceOpener:
    """Opens the source when the worker is warm, and lends its commit to a sink that has no transactions."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._source: KafkaSource | None = None

    def __call__(self, assignments: Assignments) -> Source:
        """Join the group."""
        topics = self._settings.topics
        self._source = KafkaSource(self._settings, [topics.recordings, *topics.lanes], assignments)
        return self._source

    def commit(self, offsets: Sequence[CommitOffset], membership: Membership) -> None:
        """Commit outside a transaction."""
        if self._source is None:
            raise RuntimeError("nothing can be committed before the group was joined")
        self._source.commit(offsets, membership)


def tell_broker(settings: Settings, answer: Answer) -> None:
    """Say how long others take to go on when a worker dies; warn of what is not as the settings say.

    Of a topic that is misspelt nothing ever comes, and the client says nothing.
    """
    kafka = settings.kafka
    if answer.missing:
        log.warning(
            "topics are missing",
            dependency="kafka",
            detail=f"{kafka.bootstrap_servers} has no {', '.join(answer.missing)}: mend the settings, or make them",
            count=len(answer.missing),
        )
    if answer.session_s is None:
        return
    real = settings.model_copy(update={"kafka": kafka.model_copy(update={"session_timeout_s": answer.session_s})})
    log.info("others take over when a worker dies", seconds=takeover_s(real))
    if answer.session_s != kafka.session_timeout_s:
        log.warning(
            "the broker's session is another than the settings say",
            dependency="kafka",
            detail=f"kafka.session_timeout_s={kafka.session_timeout_s:g} and the broker has {answer.session_s:g}. Set "
            "it to that, or the group's consumer.session.timeout.ms on the broker",
            seconds=answer.session_s,
        )


def open_sink(settings: Settings, slot: Slot, source: SourceOpener, skew: Skew) -> Sink:
    """The sink of the delivery that is set."""
    if settings.kafka.delivery == "exactly_once":
        return TransactionalSink(settings, slot.number, skew=skew)
    return IdempotentSink(settings, source.commit, skew=skew)


def run_watch(settings: Settings) -> None:
    """Keep connectors going in this process until SIGTERM or SIGINT. Raises UsageError."""
    clock, stop = SystemClock(), threading.Event()
    watch = Watch(settings, clock.monotonic, partial(unread, settings), Measure(settings, clock.wall_ms))
    endpoints = Endpoints(watch.metrics.registry, health=lambda: Check(ok=True), ready=watch.ready, status=watch.status)
    with interrupted_by_sigterm(), listen(settings.http, endpoints, "HTTP") as http:
        log.info("watch starts", url=f"http://{settings.http.host}:{http.port}")
        try:
            watch.run(stop)
        except KeyboardInterrupt:
            log.info("stopped")


@contextmanager
def watch_over(
    settings: Settings, moves: Callable[[], int | None], metrics: Metrics, clock: Clock
) -> Iterator[Watchdog]:
    """Have the process end when something in it is stuck."""
    stuck = Stuck(limits(settings), longest_silence_s(settings))
    watchdog = Watchdog(stuck, metrics.sheets, moves, clock, end_process)
    watchdog.start()
    try:
        yield watchdog
    finally:
        watchdog.close()


def judge_fence(settings: Settings, slot: Slot, error: FencedError, started_s: float) -> Exception:
    """What a fence means: a restart helps, unless it happened the same way to our predecessor on this slot."""
    mark = Path(settings.local.state_dir) / f"{settings.kafka.transactional_prefix}-{slot.number}.fenced"
    again_soon = FencedError(f"{error}. {TWINS.format(slot.number)}")
    if started_s >= FENCED_S:
        return again_soon
    try:
        again = mark.exists() and time.time() - mark.stat().st_mtime < 2 * FENCED_S
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    except OSError as problem:
        log.warning("cannot remember that this slot was fenced", detail=str(problem))
        return again_soon
    if not again:
        return again_soon
    return NoRestartError(
        f"fenced twice within {FENCED_S:g} s of starting: another worker uses slot {slot.number} "
        f"({settings.kafka.transactional_prefix}-{slot.number}). Give each worker its own STREAMPROC_KAFKA__SLOT",
        Fatal.FENCED,
    )
