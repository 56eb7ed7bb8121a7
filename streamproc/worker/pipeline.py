"""The stages, joined: one object that is told what was polled and what was taken away, and is stepped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from streamproc.arena import Arena
from streamproc.errors import RecordError
from streamproc.records.finished import FinishedSegment
from streamproc.records.identity import ModelIdentity
from streamproc.records.record import CommitOffset, Record, TopicPartition
from streamproc.records.stored import NewObject, Tags
from streamproc.settings import Settings
from streamproc.telemetry.clock import Clock
from streamproc.telemetry.log import get_log
from streamproc.telemetry.metrics import Metrics
from streamproc.telemetry.timesheet import NO_SHEET, STAGES, Activity, Sheet
from streamproc.worker.core.batch import MicroBatch, MicroBatches, Taken
from streamproc.worker.core.credits import Credits, Weight
from streamproc.worker.core.instant import Instant
from streamproc.worker.core.offsets import Offsets
from streamproc.worker.core.ownership import Ownership
from streamproc.worker.core.price import Prices
from streamproc.worker.core.retry import Parking, Polled, RetryPolicy
from streamproc.worker.core.strikes import Strikes
from streamproc.worker.ports import (
    Archive,
    Calls,
    Decoders,
    Device,
    Ends,
    EventCodec,
    NearAliases,
    NearTier,
    Newest,
    ObjectStore,
    RowCodec,
    SharedTier,
    Sink,
    Spans,
)
from streamproc.worker.progress import Progress
from streamproc.worker.stages.admit import Admit
from streamproc.worker.stages.again import Again
from streamproc.worker.stages.aliases import Aliases, Known
from streamproc.worker.stages.assemble import Assemble
from streamproc.worker.stages.commit import Commit, Committed, Transact, longest_commit_s
from streamproc.worker.stages.fetch import Content, Fetch
from streamproc.worker.stages.infer import Infer
from streamproc.worker.stages.items import Admitted, Fetched
from streamproc.worker.stages.lookup import Lookup
from streamproc.worker.stages.objects import Objects
from streamproc.worker.stages.prepare import Prepare
from streamproc.worker.stages.probe import Probe
from streamproc.worker.stages.recall import Recall
from streamproc.worker.stages.resume import Resume
from streamproc.worker.stages.tiers import TierCalls, Tiers
from streamproc.worker.stages.weigh import share, window
from streamproc.worker.traced import Traced

log = get_log(__name__)


class _Step(Protocol):
    def step(self, now: Instant) -> bool: ...


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside the stages, as ports."""

    codec: EventCodec
    rows: RowCodec
    store: ObjectStore
    near: NearTier
    near_aliases: NearAliases
    shared: SharedTier | None
    archive: Archive | None
    decoders: Decoders
    device: Device
    arena: Arena
    sink: Sink
    newest: Newest
    group_metadata: Callable[[], object]
    clock: Clock
    schema_lookups: Calls[Taken, None]
    fetches: Calls[Admitted, Content]
    heads: Calls[Admitted, Tags]
    probes: Calls[str, None]
    puts: Calls[tuple[Taken, NewObject], object]
    tier_calls: TierCalls
    alias_reads: Calls[tuple[str, ...], Known]
    alias_writes: Calls[tuple[str, ...], None]
    kept_reads: Calls[tuple[int, int], Sequence[FinishedSegment]]
    kept_writes: Calls[str, None]
    commits: Calls[int, Committed]
    newest_reads: Calls[int, Sequence[Record]]
    drained: Callable[[], Mapping[TopicPartition, int]] = dict
    ends: Ends | None = None
    ends_reads: Calls[str, Mapping[TopicPartition, int]] | None = None
    sheet: Sheet = NO_SHEET
    spans: Spans | None = None


class Pipeline:
    """The life of records between the polling thread and the broker. Used by one thread."""

    def __init__(
        self,
        settings: Settings,
        world: World,
        identity: ModelIdentity,
        slot: str,
        ownership: Ownership,
        metrics: Metrics,
    ) -> None:
        self._clock = world.clock
        self._metrics = metrics
        self._batches = batches = MicroBatches()
        self._offsets = offsets = Offsets()
        flow = settings.flow
        self._credit = credit = Credits(Weight(flow.in_flight_bytes, round(1000 * flow.in_flight_audio_s)))
        retry = RetryPolicy(settings.topics, settings.retry)
        self._parking = Parking(retry)
        prices = Prices(world.device.cost, world.device.most_items)
        self._strikes = strikes = Strikes(window(flow), self._nothing_goes_on, self._calm, self._in_flight)
        self._admit = Admit(settings, identity, world.codec, world.schema_lookups, batches, offsets, prices, metrics)
        aliases = Aliases(world.near_aliases, world.shared, world.alias_reads, world.alias_writes)
        self._recall = Recall(settings.dedupe, world.store, world.heads, flow.io_threads, aliases, batches)
        self._fetch = Fetch(settings, world.store, world.fetches, world.probes, batches, credit, world.clock, metrics)
        owner = f"{settings.kafka.transactional_prefix}-{slot}"
        self._tiers = tiers = Tiers(world.shared, world.archive, world.tier_calls, owner, settings.dedupe, metrics)
        self._lookup = Lookup(world.near, tiers, prices, batches, credit, metrics)
        self._prepare = Prepare(world.arena, world.decoders, batches, credit, metrics)
        share_s = share(settings).seconds
        resume = Resume(world.shared, world.kept_reads, world.kept_writes, prices, share_s, identity)
        self._infer = Infer(world.arena, world.device, identity, resume, batches, metrics)
        self._assemble = Assemble(
            topics=settings.topics,
            retry=retry,
            rows=world.rows,
            model=identity.name,
            objects=Objects(world.store, settings.storage.bucket, world.puts, batches),
            batches=batches,
            metrics=metrics,
        )
        self._again = Again(retry, batches)
        transact = Transact(
            sink=world.sink,
            group_metadata=world.group_metadata,
            ownership=ownership,
            rows=world.rows,
            ledger_topic=settings.topics.ledger,
            slot=slot,
            clock=world.clock,
        )
        stuck_s = longest_commit_s(settings.kafka)
        self._commit = Commit(transact, world.commits, offsets, strikes, batches, flow.produce_again, stuck_s, metrics)
        topic, reads = settings.topics.recordings, world.newest_reads
        self._probe = Probe(settings.brake, topic, world.newest, reads, ownership, batches, metrics)
        self._drained = world.drained
        self.progress = Progress(settings.topics, world.ends, world.ends_reads, world.drained, ownership, metrics)
        self._enter = world.sheet.enter
        stages: tuple[_Step, ...] = (
            self._again,
            self._admit,
            self._recall,
            self._fetch,
            self._lookup,
            self._prepare,
            self._infer,
            self._assemble,
            self._commit,
            self._probe,
        )
        self._steps = tuple((activity, stage.step) for activity, stage in zip(STAGES, stages, strict=True))
        self.in_flight: Mapping[str, int] = self._count()
        """What is on its way, for people to look at: replaced whole by each step, read by any thread."""
        self._moves = 0
        self.oldest_at: float | None = None
        """When the oldest of it was polled (monotonic, s). Likewise."""
        self._join(world.spans)

    def _join(self, spans: Spans | None) -> None:
        """Let each stage give to the next, in the order of a record's life."""
        admit, recall, fetch, lookup = self._admit, self._recall, self._fetch, self._lookup
        prepare, infer, assemble, probe = self._prepare, self._infer, self._assemble, self._probe
        admit.held, admit.strikes, probe.begin = probe.held, self._strikes, admit.probe
        assemble.free, assemble.again, self._again.give = self._free, self._again.keep, admit.again
        self._again.strikes = fetch.strikes = self._strikes
        assemble.ended, assemble.worked = probe.ended, probe.worked
        admit.give, admit.fail = recall.inbox.append, assemble.fail
        recall.give, recall.recalled = fetch.inbox.append, lookup.inbox.append
        recall.store_down = lambda: fetch.store_down
        fetch.give, fetch.fail, fetch.learn = lookup.inbox.append, assemble.fail, recall.learn
        lookup.give, lookup.known, lookup.fail = prepare.inbox.append, assemble.inbox.append, assemble.fail
        lookup.again = fetch.again
        prepare.ahead, prepare.segment, prepare.decoded = infer.ahead, infer.segment, infer.decoded
        prepare.failed, prepare.dropped = self._decode_failed, self._decode_dropped
        prepare.again = self._decode_again
        self._commit.committed = self.progress.committed
        self._commit.traced = None if spans is None else Traced(spans)
        infer.computed, infer.failed, infer.dropped = lookup.computed, lookup.failed, lookup.dropped

    def _decode_failed(self, fetched: Fetched, error: RecordError) -> None:
        self._infer.abandon(fetched)
        self._lookup.failed(fetched, error)

    def _decode_dropped(self, fetched: Fetched) -> None:
        self._infer.abandon(fetched)
        self._lookup.dropped(fetched)

    def _decode_again(self, fetched: Fetched, deaths: int) -> None:
        self._infer.abandon(fetched)
        self._lookup.repeat(fetched, deaths)

    def now(self) -> Instant:
        """This moment, on the clock that was given."""
        return Instant(self._clock.monotonic(), self._clock.wall_ms())

    @property
    def room(self) -> bool:
        """Whether another micro-batch may be polled."""
        return self._admit.room

    @property
    def idle(self) -> bool:
        """Whether nothing is in flight."""
        return not len(self._batches) and not self._admit.waiting

    @property
    def moves(self) -> int | None:
        """How often something moved; None while there is nothing that could. Safe from any thread."""
        waiting = len(self._batches) or (self._admit.waiting and not self.held)
        return self._moves if waiting else None

    @property
    def store_down(self) -> bool:
        """Whether work waits for the object store."""
        return self._fetch.store_down

    @property
    def loaded(self) -> bool:
        """Whether the network is loaded, and not being loaded again. Safe from any thread."""
        return self._infer.loaded

    @property
    def held(self) -> bool:
        """Whether the brake is on."""
        return self._probe.held()

    def brake(self) -> Mapping[str, object]:
        """What the brake says. Safe from any thread."""
        return self._probe.status()

    def release(self) -> None:
        """Release the brake, whatever the newest records come to."""
        if self.held:
            self._probe.release(self.now(), "released by command")

    @property
    def not_due(self) -> frozenset[TopicPartition]:
        """Lane partitions whose head is not due: they are to be paused."""
        return frozenset(self._parking)

    def _count(self) -> Mapping[str, int]:
        total = self._credit.total
        return {
            "micro_batches": len(self._batches),
            "records": self._batches.records,
            "bytes": total.size,
            "audio_ms": total.audio_ms,
        }

    def begin(self, starts: Sequence[tuple[CommitOffset, int]]) -> None:
        """Own partitions: where each starts, with the epoch that begins."""
        self.progress.begin(starts, self.now())
        for start, epoch in starts:
            if self._strikes.begin(start, epoch):
                log.warning(
                    "former owners ended here: records are taken one at a time",
                    topic=start.topic,
                    partition=start.partition,
                    offset=start.offset,
                    detail=start.metadata,
                )
            if self._strikes.crashed(TopicPartition(start.topic, start.partition)):
                self._probe.doubt()

    def accept(self, polled: Sequence[Polled]) -> None:
        """Take in what was polled."""
        self.progress.arrived(polled)
        now = self.now()
        due = self._parking.sift(polled, now.wall_ms)
        if due:
            self._admit.accept(due, now)

    def step(self) -> bool:
        """Let every stage go on once; True while there may be more to do at once."""
        now = self.now()
        due = self._parking.release(now.wall_ms) if self.room else []
        if due:
            self._admit.accept(due, now)
        if self._strikes.careful:
            self._strikes.drained(self._drained())
        moved = False
        for activity, step in self._steps:
            self._enter(activity)
            moved = step(now) or moved
        self._enter(Activity.STEER)
        if (in_flight := self._count()) != self.in_flight:
            self.in_flight = in_flight
        head = self._batches.head()
        self.oldest_at = None if head is None else head.entries[0].taken_at
        self._moves += moved
        return bool(due) or moved

    def show(self) -> None:
        """Set the gauges of what is in flight and of what waits behind it. Safe from any thread."""
        now, in_flight, oldest_at, metrics = self.now(), self.in_flight, self.oldest_at, self._metrics
        metrics.in_flight_records.set(in_flight["records"])
        metrics.in_flight_bytes.set(in_flight["bytes"])
        metrics.in_flight_audio_seconds.set(in_flight["audio_ms"] / 1000)
        metrics.oldest_in_flight_seconds.set(0 if oldest_at is None else now.mono - oldest_at)
        self.progress.show(now.wall_ms)

    def drain(self) -> None:
        """Begin nothing more: only what is in flight goes on to its commit. To be called until it is idle.

        What waits to be archived has its turn meanwhile, and no longer.
        """
        self._admit.stop()
        if self.idle:
            self._tiers.archive_no_more()

    def revoke(self, partitions: Sequence[TopicPartition]) -> None:
        """Keep of these partitions what is in the first micro-batches that are done or on the device; drop the rest.

        Whatever stands behind the first record that is left out goes too: no commit passes a hole.
        """
        self._parking.drop(partitions)
        self._admit.drop(partitions)
        self._strikes.close(partitions)
        # One that is done still waits for those before it: they commit in order.
        soon = {batch.ident for batch in takewhile(self._ends_soon, self._batches)}
        for partition in partitions:
            keeping = True
            for batch, taken in list(self._batches.entries(partition)):
                if batch is self._commit.committing:
                    continue
                keeping = keeping and batch.ident in soon
                if not keeping:
                    self._drop(taken)
        self._let_go()

    def _ends_soon(self, batch: MicroBatch) -> bool:
        """Whether a micro-batch waits for the device alone: its other partitions' records hold its commit up too."""
        ends = (batch.end(entry.index) is not None or self._infer.on_device(entry) for entry in batch.entries)
        return batch is self._commit.committing or all(ends)

    def lose(self, partitions: Sequence[TopicPartition]) -> None:
        """Leave out everything of these partitions: somebody else has them."""
        self._parking.drop(partitions)
        self._admit.drop(partitions)
        for partition in partitions:
            for batch, taken in list(self._batches.entries(partition)):
                if batch is not self._commit.committing:
                    self._drop(taken)
        self._let_go()
        self._offsets.end(partitions)
        self._strikes.end(partitions)
        self.progress.gone(partitions)

    def settled(self, partitions: Sequence[TopicPartition]) -> bool:
        """Whether nothing of these partitions waits for a commit any more, and their next owners will know."""
        return not any(map(self._in_flight, partitions)) and all(map(self._strikes.closed, partitions))

    def acquit(self) -> None:
        """Begin to say beside the offsets that nothing is in flight: what ends this worker is no record's fault."""
        self._commit.leave()
        self._strikes.acquit()

    def acquitted(self) -> bool:
        """Go on with that; whether it is done. Raises what a commit raises."""
        self._commit.step(self.now())
        return self._commit.idle

    def _nothing_goes_on(self) -> bool:
        """Whether a record could be taken alone now: the brake lets none go, and what is not tried earns no strike."""
        return not len(self._batches) and not self._probe.held()

    def _calm(self) -> bool:
        """Whether nothing is at work: all that is in flight has its outcome, or waits to be tried again."""
        entries = ((batch, taken) for batch in self._batches for taken in batch.entries)
        waits = (self._again.keeps, self._fetch.rests)
        return all(batch.end(taken.index) is not None or any(one(taken) for one in waits) for batch, taken in entries)

    def _in_flight(self, partition: TopicPartition) -> bool:
        return any(not batch.dropped(taken.index) for batch, taken in self._batches.entries(partition))

    def _let_go(self) -> None:
        """Hold no bytes of what was dropped: its credit is others' now."""
        self._lookup.let_go()
        self._prepare.let_go()

    def _drop(self, taken: Taken) -> None:
        self._batches.drop(taken)
        self._free(taken)

    def _free(self, taken: Taken) -> None:
        """Give a record's credit back; one whose bytes are on their way needs it until they are here."""
        if not self._fetch.fetching(taken):
            self._credit.give(taken.ident)
