"""The whole main job, once, on real servers: announce, work, read, reckon."""

import time
import uuid
from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Protocol

from streamproc.client import RecordingClient
from streamproc.demo.clips import load_manifest, read_bytes
from streamproc.demo.plan import Announcement, build_plan
from streamproc.demo.tally import End, Sent, Tally
from streamproc.errors import Stage, StoreError, StreamprocError
from streamproc.kafka.publisher import Publisher
from streamproc.kafka.tail import Tail
from streamproc.local import stack as servers
from streamproc.local.apart import apart
from streamproc.local.server import Recipe
from streamproc.local.signals import interrupted_by_sigterm, shielded
from streamproc.local.toolbox import Report
from streamproc.local.worker import WorkerProcess, parse_stages
from streamproc.operate.dead_letter import DeadLetter
from streamproc.operate.outputs import Output, Outputs, open_outputs
from streamproc.operate.warehouse.answer import Answer
from streamproc.records.record import OutputRecord, Record
from streamproc.records.recording import RecordingEvent
from streamproc.records.result import EmotionResult
from streamproc.settings import Settings
from streamproc.storage.causes import for_people
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.told import Told
from streamproc.wiring import prepare

PREFIX = "demo"
PARTITIONS = 3
PATIENCE_S = 300
"""Without one new outcome for so long, something is wrong, however busy the machine."""
POLL_S = 0.2


class Warehouse(Protocol):
    """What the demo shows of a warehouse, where it is asked to."""

    @property
    def recipes(self) -> Sequence[Recipe]:
        """The servers that come on top."""
        ...

    def settings(self, settings: Settings) -> Settings:
        """The settings with names of the demo's own."""
        ...

    def begin(self, settings: Settings) -> None:
        """Clear what another demo has left, and start connectors."""
        ...

    def answers(self, settings: Settings, ends: Sequence[End]) -> Sequence[Answer]:
        """Wait until everything that ended is there, then ask."""
        ...

    def end(self, settings: Settings) -> None:
        """Take the connectors away."""
        ...


class NoOutcomeError(StreamprocError):
    """Raised when outcomes stay away."""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of it."""

    name: str
    tally: Tally
    stages: Mapping[Stage, tuple[float, int]]
    """Seconds of all records together, and how many records, by stage."""
    wall_s: Mapping[str, float] = field(default_factory=dict)
    answers: Sequence[Answer] = ()
    """The warehouse's."""


def demo_settings(settings: Settings) -> Settings:
    """The settings with names of the demo's own, so that it meets no recordings, group or producer of yours.

    The names stay the same from run to run: the group goes on where it was, and works off what an interrupted run has
    left. What is known of equal bytes is shared inside one run only (each is a tenant of its own), so that every run
    shows the model at work.
    """
    demos = apart(settings, PREFIX, PARTITIONS)
    return demos.model_copy(
        update={
            "dedupe": settings.dedupe.model_copy(update={"scope": "tenant"}),
            "model": settings.model.model_copy(update={"name_or_dir": PREFIX}),
        }
    )


def run_demo(settings: Settings, report: Report, progress: Told, warehouse: Warehouse | None = None) -> Run:
    """Run it once; what was started is stopped, whatever happens. Raises StreamprocError."""
    name = f"demo-{uuid.uuid4().hex[:8]}"
    laps = _Laps()
    with interrupted_by_sigterm(), ExitStack() as stack:
        up = servers.up(
            demo_settings(settings), report, prepare, (*servers.RECIPES, *(warehouse.recipes if warehouse else ()))
        )
        stack.callback(shielded, lambda: servers.down(settings, report, only=up.started))
        laps.lap("servers")
        if warehouse is not None:
            housed = warehouse.settings(up.settings)
            stack.callback(shielded, lambda: warehouse.end(housed))
            warehouse.begin(housed)
            laps.lap("connectors")
        worker = WorkerProcess(up.settings, settings.local.state_dir / "demo-worker.log")
        stack.callback(shielded, worker.stop)
        worker.start()
        plan = build_plan(load_manifest(), name)
        store(up.settings, plan, progress)
        laps.lap("store")
        topics = up.settings.topics
        outputs = stack.enter_context(
            open_outputs(up.settings, [topics.results, topics.dead_letters, topics.ledger], None)
        )
        tally = Tally(topics.recordings, announce(up.settings, plan, name))
        follow(tally, outputs, worker, progress)
        laps.lap("results")
        stages = parse_stages(worker.metrics())
        worker.stop()
        laps.lap("stop the worker")
        for output in outputs.rest():  # an outcome too many would be here
            tally.add(output)
        laps.lap("look for more")
        answers: Sequence[Answer] = ()
        if warehouse is not None:
            answers = warehouse.answers(housed, [end for _, end in tally.ends()])
            laps.lap("warehouse")
    laps.lap("stop the servers")
    return Run(name, tally, stages, laps.seconds, answers)


def store(settings: Settings, plan: Sequence[Announcement], progress: Told) -> None:
    """Put every object that is announced into the bucket. Raises StreamprocError."""
    objects = {one.object_key: one.content for one in plan if one.content is not None}
    s3 = S3Store(settings.storage, 1, SystemClock())
    try:
        for done, (key, file) in enumerate(objects.items(), 1):
            s3.put(settings.storage.bucket, key, read_bytes(file), "application/octet-stream")
            progress("stored", key, done, len(objects))
    except StoreError as error:
        raise for_people(error) from error
    finally:
        s3.close()


def announce(settings: Settings, plan: Sequence[Announcement], tenant: str) -> Sequence[Sent]:
    """Send every announcement, then read from the input topic where each came to lie.

    Raises UsageError, DependencyDownError.
    """
    now_ms = SystemClock().wall_ms()
    topic = settings.topics.recordings
    with closing(Tail(settings, [topic], None)) as tail:
        with RecordingClient(settings) as client, closing(Publisher(settings)) as publisher:
            for one in plan:
                if one.raw is None:
                    client.announce(event(one, settings.storage.bucket, tenant, now_ms), one.key, now_ms - one.age_ms)
                else:
                    publisher.send(OutputRecord(topic, one.key.encode(), one.raw), one.title)
            publisher.flush()
        ends = tail.ends()
        records: list[Record] = []
        while not tail.reached(ends):
            records += tail.poll(POLL_S)
    return locate(plan, records)


def locate(plan: Sequence[Announcement], records: Sequence[Record]) -> Sequence[Sent]:
    """Find each announcement among the records of the input topic: those of one key lie in the order they were sent.

    Raises StreamprocError when one is not there.
    """
    by_key: dict[bytes, deque[Record]] = defaultdict(deque)
    for record in records:
        by_key[record.key or b""].append(record)
    sent = []
    for one in plan:
        if not by_key[one.key.encode()]:
            raise StreamprocError(f"{one.title} was sent and is not on the input topic")
        record = by_key[one.key.encode()].popleft()
        sent.append(Sent(one, record.partition, record.offset))
    return sent


def event(one: Announcement, bucket: str, tenant: str, now_ms: int) -> RecordingEvent:
    """What a producer says of a recording."""
    return RecordingEvent(
        event_id=one.event_id,
        recorded_at=now_ms - one.age_ms,
        bucket=bucket,
        object_key=one.object_key,
        tenant=tenant,
        call_id=one.key,
        queue="phone" if one.object_key.endswith(".wav") else "upload",
        language="en",
        outputs=frozenset({"scores", "segments"}),
    )


def follow(tally: Tally, outputs: Outputs, worker: WorkerProcess, progress: Told) -> None:
    """Read until every announcement has its end. Raises WorkerEndedError, NoOutcomeError."""
    deadline = time.monotonic() + PATIENCE_S
    while still := tally.open():
        worker.check()
        if time.monotonic() > deadline:
            names = ", ".join(one.announcement.title for one in still[:3])
            raise NoOutcomeError(
                f"{len(still)} announcements wait for their outcome since {PATIENCE_S} s, among them {names}. "
                f"The worker's log says why: {worker.log}"
            )
        for output in outputs.poll(POLL_S):
            if (sent := tally.add(output)) is not None:
                deadline = time.monotonic() + PATIENCE_S
                progress("ended", brief(sent, output), tally.done, tally.sent)


def brief(sent: Sent, output: Output) -> str:
    """An end in a few words."""
    match output:
        case EmotionResult(label=label, status=status):
            return f"{sent.announcement.title}: {label or status}"
        case DeadLetter(reason=reason):
            return f"{sent.announcement.title}: {reason}"
        case _:
            return sent.announcement.title


class _Laps:
    """Wall time by part of the run."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.monotonic()

    def lap(self, name: str) -> None:
        """End a part."""
        now = time.monotonic()
        self.seconds[name] = round(now - self._since, 3)
        self._since = now
