"""The worker's neighbours in virtual time: each gives way at its point, takes a while, and can fail there."""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from streamproc.arena import Arena, Lease, StaleLeaseError
from streamproc.emotion.engine import Wave
from streamproc.emotion.passes import Passes
from streamproc.errors import Cause, DependencyDownError, StoreError, TierError
from streamproc.records.analysis import Analysis
from streamproc.records.compute import BatchDone, DeviceDied, DeviceEvent, DeviceReady, ItemError, Scored, SegmentHandle
from streamproc.records.decoding import DecodeJob, DecoderEvent
from streamproc.records.finished import FinishedSegment
from streamproc.records.profile import split
from streamproc.records.recording import RecordingEvent
from streamproc.records.stored import StoredObject, Tags
from streamproc.testing.codec import JsonEvents
from streamproc.testing.decoders import FakeDecoders
from streamproc.testing.device import IDENTITY, check_batch, fake_value, read
from streamproc.testing.engine import FakeEngine
from streamproc.testing.simulation.fault import Point
from streamproc.testing.simulation.held import Loan, Loans, lend
from streamproc.testing.simulation.recordings import Victim, victim
from streamproc.testing.simulation.spans import STRAGGLER_S
from streamproc.testing.store import MemoryStore
from streamproc.testing.tier import MemoryArchive, MemorySharedTier


class TimedOut(Exception):  # noqa: N818  # what happened, not an error of the simulator
    """What was asked at a point does not answer in time."""


class Place(Protocol):
    """What a neighbour sees of the process that it serves."""

    def visit(self, point: Point) -> None:
        """Let others come in between, or a fault strike. Raises TimedOut when that is the fault."""
        ...

    def sleep(self, seconds: float) -> None:
        """Take a while."""
        ...

    def now(self) -> float:
        """Virtual time (s)."""
        ...

    def takes(self) -> float:
        """How long something takes that is usually quick, drawn anew each time (seconds)."""
        ...

    def spawn(self, name: str, run: Callable[[], None]) -> object:
        """Do something beside the worker's own threads."""
        ...

    def wake(self) -> None:
        """Say that there is something to take."""
        ...

    def resumed(self, segments: int) -> None:
        """Note how many finished segments of a former owner were found."""
        ...

    def die(self) -> None:
        """End the whole process, for a recording killed it. Raises GreenletExit where that one runs."""
        ...


class SimulatedStore:
    """An object store over one that all workers share.

    ``failures`` says how often gets of a key still fail, ``hurt`` how often they did, for whatever reason but one: once
    a probe has said that the store is down, what fails is nobody's fault until another says that it is back.

    ``loans`` counts what this process holds: during a get what may come, or ``undeclared`` bytes where the event
    declares no size, so that ``most`` is asked for; then the body itself, until the process has let go of it.
    """

    def __init__(
        self,
        inner: MemoryStore,
        failures: dict[str, int],
        hurt: Counter[str],
        place: Place,
        most: int,
        undeclared: int,
    ) -> None:
        self._inner = inner
        self._failures = failures
        self._hurt = hurt
        self._place = place
        self._sings = True
        self._most = most
        self._undeclared = undeclared
        self.loans = Loans()
        self.under_way = 0
        """Gets that have begun and not ended."""

    def get(self, bucket: str, key: str, version_id: str | None, most: int) -> StoredObject:
        """Fetch an object. Raises StoreError."""
        known = most < self._most
        asked = Loan(most if known else self._undeclared, 0)
        self.under_way += 1
        self.loans.begin(asked)
        began = self._place.now()
        self._hurt[key] += 1  # until it has come in time: whoever is killed meanwhile does not come back to count
        try:
            self._visit(Point.FETCH)
            self._fail(key)
            stored = self._inner.get(bucket, key, version_id, most)
        except StoreError:
            self._hurt[key] -= not self._sings
            raise
        finally:
            self.under_way -= 1
            self.loans.end(asked)
        self._hurt[key] -= self._place.now() - began < STRAGGLER_S
        if victim(stored.body) is Victim.FETCHER:
            self._place.die()
        size = len(stored.body)
        loan = Loan(size, 0 if known else max(0, size - self._undeclared))
        return replace(stored, body=lend(stored.body, self.loans, loan))

    def tags(self, bucket: str, key: str, version_id: str | None) -> Tags:
        """What an object's bytes are called. Raises StoreError; whatever it is, a fetch comes next and meets it too."""
        self._place.sleep(self._place.takes())
        return self._inner.tags(bucket, key, version_id)

    def put(self, bucket: str, key: str, body: bytes, content_type: str, /) -> object:
        """Store an object. Raises StoreError."""
        self._visit(Point.ASSEMBLE)
        return self._inner.put(bucket, key, body, content_type)

    def _fail(self, key: str) -> None:
        if self._failures.get(key, 0) > 0:
            self._failures[key] -= 1
            raise StoreError(Cause.SERVER_ERROR, f"{key}: injected")

    def probe(self) -> None:
        """The canary. Raises StoreError."""
        self._place.sleep(self._place.takes())
        self._sings = False
        self._inner.probe()
        self._sings = True

    def _visit(self, point: Point) -> None:
        try:
            self._place.visit(point)
        except TimedOut as error:
            raise StoreError(Cause.TIMEOUT, "injected") from error
        self._place.sleep(self._place.takes())


class SimulatedTier:
    """A shared tier over one that all workers share."""

    def __init__(self, inner: MemorySharedTier, place: Place) -> None:
        self._inner = inner
        self._place = place

    def get_many(self, keys: Sequence[str]) -> Mapping[str, Analysis]:
        """What is known. Raises TierError."""
        self._visit(Point.LOOKUP)
        return self._inner.get_many(keys)

    def put_many(self, analyses: Mapping[str, Analysis]) -> None:
        """Remember. Raises TierError."""
        self._visit(Point.REMEMBER)
        self._inner.put_many(analyses)

    def claim_many(self, keys: Sequence[str], owner: str, seconds: float) -> Collection[str]:
        """Claim what nobody else has claimed. Raises TierError."""
        self._visit(Point.LOOKUP)
        return self._inner.claim_many(keys, owner, seconds)

    def release_many(self, keys: Sequence[str], owner: str) -> None:
        """Give up claims. Raises TierError."""
        self._visit(Point.REMEMBER)
        self._inner.release_many(keys, owner)

    def get_aliases(self, names: Sequence[str]) -> Mapping[str, str]:
        """Which bytes aliases stand for. Raises TierError."""
        self._visit(Point.LOOKUP)
        return self._inner.get_aliases(names)

    def put_aliases(self, aliases: Mapping[str, str]) -> None:
        """Remember. Raises TierError."""
        self._visit(Point.REMEMBER)
        self._inner.put_aliases(aliases)

    def get_finished(self, key: str) -> Sequence[FinishedSegment]:
        """What a former owner finished. Raises TierError."""
        self._visit(Point.LOOKUP)
        found = self._inner.get_finished(key)
        self._place.resumed(len({one.stretch for one in found}))
        return found

    def keep_finished(self, key: str, segments: Sequence[FinishedSegment]) -> None:
        """Keep segments. Raises TierError."""
        self._visit(Point.REMEMBER)
        self._inner.keep_finished(key, segments)

    def _visit(self, point: Point) -> None:
        try:
            self._place.visit(point)
        except TimedOut as error:
            raise TierError("injected") from error


class SimulatedArchive:
    """An archive over one that all workers share."""

    def __init__(self, inner: MemoryArchive, place: Place) -> None:
        self._inner = inner
        self._place = place

    def get(self, key: str) -> Analysis | None:
        """What is known. Raises TierError."""
        self._place.sleep(self._place.takes())
        return self._inner.get(key)

    def put(self, key: str, analysis: Analysis) -> None:
        """Keep. Raises TierError."""
        self._place.sleep(self._place.takes())
        self._inner.put(key, analysis)


@dataclass(slots=True)
class Registry:
    """What all workers' codecs ask."""

    down: bool = False
    refused: int = 0
    """How often it did not answer because it was down."""


class SimulatedEvents(JsonEvents):
    """A codec whose registry takes a while, or does not answer, and which some events kill."""

    def __init__(self, registry: Registry, place: Place, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._registry = registry
        self._place = place

    def resolve(self, value: bytes) -> None:
        """Ask. Raises DependencyDownError."""
        try:
            self._place.visit(Point.ADMIT)
        except TimedOut as error:
            raise DependencyDownError("registry", "injected") from error
        self.down = self._registry.down
        self._registry.refused += self.down and not self.known(value)
        super().resolve(value)

    def decode(self, value: bytes) -> RecordingEvent:
        """Read an event, and die of one that kills."""
        event = super().decode(value)
        if event.attributes.get("kills") == Victim.READER:
            self._place.die()
        return event


class SimulatedDecoders(FakeDecoders):
    """Decoder children that take a while, and can die of a job."""

    sandbox = "full"

    def __init__(self, arena: Arena, hurt: Counter[bytes], place: Place) -> None:
        super().__init__(arena)
        self._hurt = hurt
        self._place = place
        self.restarts = 0

    def start(self, now: float) -> None:
        """Nothing to spawn."""

    def filenos(self) -> tuple[int, ...]:
        """None: they wake the worker themselves."""
        return ()

    def close(self) -> None:
        """Nothing to end."""

    def submit(self, job: DecodeJob) -> None:
        """Start a job."""
        super().submit(job)
        self.busy.add(job.job)
        self._place.spawn("decoder", partial(self._decode, job.job))  # without the body, which it would hold

    def grant(self, job: int, lease: Lease) -> None:
        """Fill a slot. What has become of the record meanwhile, the worker sees before it sees the slot."""
        super().grant(job, lease)
        self.busy.add(job)
        self._place.spawn("decoder", lambda: self._fill(job))

    def take(self, now: float) -> Sequence[DecoderEvent]:
        """Events since the last take."""
        events = super().take(now)
        self.decoded.clear()  # nobody looks at it here, and it would hold every body
        return events

    def die_all(self) -> None:
        """Lose every job."""
        self.restarts += 1
        for job in self.running:
            self._lose(job)

    def _decode(self, job: int) -> None:
        if job in self.running:  # else it was called off, or its child died, before it began
            try:
                self._place.visit(Point.PREPARE)
            except TimedOut:
                self._lose(job)
            else:
                self._place.sleep(self._place.takes())
                self._suffer(job)
        self.busy.discard(job)
        self._place.wake()

    def _suffer(self, job: int) -> None:
        """Let a recording kill whom it kills, once it is being decoded."""
        match victim(self.running.get(job, b"")):
            case Victim.DECODER:
                self.die(job)
            case Victim.FEEDER:
                self._place.die()

    def _fill(self, job: int) -> None:
        self._place.sleep(self._place.takes())
        self.busy.discard(job)
        self._place.wake()

    def _lose(self, job: int) -> None:
        if (body := self.running.get(job)) is not None:
            self._hurt[bytes(body)] += 1
            self.die(job)
            self._place.wake()


class SimulatedDevice:
    """A device process that loads, computes one batch after the other, and can die of one.

    ``deadly`` are the waveforms that kill it, ``hurt`` counts what else did, by who was alone on it.
    """

    def __init__(
        self, arena: Arena, place: Place, deadly: Collection[bytes] = (), hurt: Counter[bytes] | None = None
    ) -> None:
        self._deadly = deadly
        self._hurt = Counter() if hurt is None else hurt
        self._arena = arena
        self._place = place
        self._queue: dict[int, Sequence[SegmentHandle]] = {}
        self._events: list[DeviceEvent] = []
        self._life = 0
        self._busy = False
        self._loaded = False
        self._dead = False
        self._measured = False
        self._engine = FakeEngine()
        self._passes = Passes(self._engine)
        self.passes_over = 0
        """Passes beyond what it may cost to find the waveforms that break one."""
        self.deaths = 0
        self.computed = 0
        """Batches."""

    def start(self) -> None:
        """Load the network."""
        self._place.spawn("device", self._load)

    def fileno(self) -> int:
        """None: it wakes the worker itself."""
        return -1

    def close(self) -> None:
        """Nothing to end."""
        self._life += 1

    @property
    def holds(self) -> int:
        """Segments that it was given and has not answered, nor said to be lost."""
        return sum(len(items) for items in self._queue.values())

    def submit(self, batch: int, items: Sequence[SegmentHandle]) -> None:
        """Queue a compute batch. Raises ValueError for one that breaks the contract."""
        check_batch(batch, items, self._queue)
        self._queue[batch] = items
        self._go_on()

    def take(self, now: float) -> Sequence[DeviceEvent]:
        """Events since the last take. Replaces a process that died."""
        del now  # it dies only when told to
        events, self._events = self._events, []
        if self._dead:
            self._dead = False
            events.append(DeviceDied(tuple(self._queue), "killed"))
            self._queue.clear()
            self.start()
        return events

    def cost(self, lengths: Sequence[int]) -> float:
        """30 ms an item and one for each second of audio. Raises ValueError before it was ready once.

        So eight recordings fill a micro-batch's share of a drain, and nine segments make one that is long.
        """
        self._check_measured()
        return 0.03 * len(lengths) + sum(lengths) / 16_000_000

    def most_items(self, longest: int) -> int:
        """A fixed number, whatever the length. Raises ValueError before it was ready once."""
        del longest
        self._check_measured()
        return 3

    def die(self) -> None:
        """Lose what is on it; it is seen, and loads again, at the next take."""
        match [item for items in self._queue.values() for item in items]:
            case [alone]:
                self._hurt[self._arena.read(alone.lease).tobytes()] += 1
        self._end()

    def _end(self) -> None:
        self._life += 1
        self._busy = self._loaded = False
        self._dead = True
        self.deaths += 1
        self._place.wake()

    def _load(self) -> None:
        life = self._life
        self._place.sleep(self._place.takes())
        if life == self._life:
            self._loaded = self._measured = True
            self._events.append(DeviceReady(IDENTITY))
            self._place.wake()
            self._go_on()

    def _go_on(self) -> None:
        if self._queue and self._loaded and not self._busy:
            self._busy = True
            self._place.spawn("device", partial(self._compute, self._life))

    def _compute(self, life: int) -> None:
        if life != self._life:
            return
        try:
            self._place.visit(Point.INFER)
        except TimedOut:
            # It is killed for its silence, unless it died meanwhile.
            if life == self._life:
                self.die()
            return
        self._place.sleep(self._place.takes())
        if life != self._life:
            return
        batch, items = next(iter(self._queue.items()))
        try:
            found = [read(self._arena, item) for item in items]
        except StaleLeaseError:
            self._end()
            return
        if self._deadly and any(self._arena.read(item.lease).tobytes() in self._deadly for item in items):
            self._end()
            return
        del self._queue[batch]
        self.computed += 1
        self._events.append(BatchDone(batch, self._run(found, [item.embedding for item in items]), 0.001))
        self._busy = False
        self._place.wake()
        self._go_on()

    def _run(self, items: Sequence[Wave | ItemError], wanted: Sequence[bool]) -> tuple[Scored | ItemError, ...]:
        waves = [item for item in items if not isinstance(item, ItemError)]
        before = self._engine.passes
        rows = self._passes.run(waves)
        poisoned = sum(isinstance(row, ItemError) for row in rows)
        planned = len(split([len(wave) for wave in waves], self._engine.most_samples))
        most = planned + 2 * poisoned * (math.ceil(math.log2(len(waves) or 1)) + 1)
        self.passes_over += max(0, self._engine.passes - before - most)
        ends = iter(rows)
        found = [item if isinstance(item, ItemError) else next(ends) for item in items]
        return tuple(
            end if isinstance(end, ItemError) else fake_value(end.embedding, embedding=own)
            for end, own in zip(found, wanted, strict=True)
        )

    def _check_measured(self) -> None:
        if not self._measured:
            raise ValueError("the device is not ready yet: take DeviceReady first")
