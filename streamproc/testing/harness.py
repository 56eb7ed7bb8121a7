"""The worker's pipeline on fakes, one step at a time: no threads, no servers, time by hand."""

import json
from collections.abc import Collection, Mapping, Sequence

from streamproc.arena import Arena
from streamproc.dedupe.aliases import MemoryAliases
from streamproc.dedupe.memory import MemoryTier
from streamproc.records.analysis import Analysis
from streamproc.records.finished import FinishedSegment
from streamproc.records.identity import ModelIdentity
from streamproc.records.record import CommitOffset, Headers, Record, TopicPartition
from streamproc.records.stored import NewObject, Tags
from streamproc.settings import Settings
from streamproc.telemetry.metrics import Metrics
from streamproc.testing.calls import ManualCalls
from streamproc.testing.clock import ManualClock
from streamproc.testing.codec import JsonEvents, JsonRows
from streamproc.testing.decoders import FakeDecoders
from streamproc.testing.device import IDENTITY, FakeDevice
from streamproc.testing.newest import MemoryNewest
from streamproc.testing.sink import MemorySink
from streamproc.testing.store import MemoryStore
from streamproc.worker.core.batch import Taken
from streamproc.worker.core.ownership import Ownership
from streamproc.worker.core.retry import Polled
from streamproc.worker.pipeline import Pipeline, World
from streamproc.worker.ports import Archive, SharedTier
from streamproc.worker.stages.aliases import Known
from streamproc.worker.stages.commit import Committed
from streamproc.worker.stages.fetch import Content
from streamproc.worker.stages.items import Admitted
from streamproc.worker.stages.tiers import Found, TierCalls


class WorkerHarness:
    """Everything a pipeline needs, as public attributes that a test may look at and turn against it.

    Without settings it has the defaults, whatever the environment says: a test is the same for everybody.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        shared: SharedTier | None = None,
        archive: Archive | None = None,
        arena_slots: int = 8,
        slot: str = "0",
        identity: ModelIdentity = IDENTITY,
    ) -> None:
        self.settings = settings or Settings.model_construct()
        self.clock = ManualClock()
        self.metrics = Metrics()
        self.arena = Arena(arena_slots)
        self.store = MemoryStore()
        self.events = JsonEvents(self.clock.monotonic, resolved=[1])
        self.decoders = FakeDecoders(self.arena)
        self.device = FakeDevice(self.arena)
        self.sink = MemorySink()
        self.newest = MemoryNewest()
        self.near = MemoryTier(self.settings.dedupe.memory_bytes)
        self.near_aliases = MemoryAliases(self.settings.dedupe.alias_bytes)
        self.ownership = Ownership()
        self.schema_lookups: ManualCalls[Taken, None] = ManualCalls()
        self.fetches: ManualCalls[Admitted, Content] = ManualCalls()
        self.heads: ManualCalls[Admitted, Tags] = ManualCalls()
        self.probes: ManualCalls[str, None] = ManualCalls()
        self.puts: ManualCalls[tuple[Taken, NewObject], object] = ManualCalls()
        self.tier_reads: ManualCalls[tuple[str, ...], Found] = ManualCalls()
        self.tier_writes: ManualCalls[tuple[str, ...], None] = ManualCalls()
        self.claims: ManualCalls[tuple[str, ...], Collection[str]] = ManualCalls()
        self.releases: ManualCalls[tuple[str, ...], None] = ManualCalls()
        self.archive_reads: ManualCalls[str, Analysis | None] = ManualCalls()
        self.archive_writes: ManualCalls[str, None] = ManualCalls()
        self.alias_reads: ManualCalls[tuple[str, ...], Known] = ManualCalls()
        self.alias_writes: ManualCalls[tuple[str, ...], None] = ManualCalls()
        self.kept_reads: ManualCalls[tuple[int, int], Sequence[FinishedSegment]] = ManualCalls()
        self.kept_writes: ManualCalls[str, None] = ManualCalls()
        self.commits: ManualCalls[int, Committed] = ManualCalls()
        self.newest_reads: ManualCalls[int, Sequence[Record]] = ManualCalls()
        self.world = World(
            codec=self.events,
            rows=JsonRows(),
            store=self.store,
            near=self.near,
            near_aliases=self.near_aliases,
            shared=shared,
            archive=archive,
            decoders=self.decoders,
            device=self.device,
            arena=self.arena,
            sink=self.sink,
            newest=self.newest,
            group_metadata=lambda: None,
            clock=self.clock,
            schema_lookups=self.schema_lookups,
            fetches=self.fetches,
            heads=self.heads,
            probes=self.probes,
            puts=self.puts,
            tier_calls=TierCalls(
                reads=self.tier_reads,
                writes=self.tier_writes,
                claims=self.claims,
                releases=self.releases,
                archive_reads=self.archive_reads,
                archive_writes=self.archive_writes,
            ),
            alias_reads=self.alias_reads,
            alias_writes=self.alias_writes,
            kept_reads=self.kept_reads,
            kept_writes=self.kept_writes,
            commits=self.commits,
            newest_reads=self.newest_reads,
        )
        self.device.take(0)  # the runtime has heard that the network is warm
        self.pipeline = Pipeline(self.settings, self.world, identity, slot, self.ownership, self.metrics)
        self._offsets: dict[TopicPartition, int] = {}

    def assign(self, *partitions: int, topic: str | None = None) -> None:
        """Own partitions of the input topic."""
        name = topic or self.settings.topics.recordings
        places = [TopicPartition(name, partition) for partition in partitions]
        epochs = self.ownership.assign(places)
        starts = {place: self._start(place) for place in places}
        self.pipeline.begin([(starts[place], epochs[place]) for place in places])

    def _start(self, place: TopicPartition) -> CommitOffset:
        return self.sink.committed(*place) or CommitOffset(*place, self._offsets.get(place, 0))

    def record(
        self,
        value: bytes | None,
        partition: int = 0,
        *,
        offset: int | None = None,
        topic: str | None = None,
        key: bytes | None = b"call-1",
        headers: Headers = (),
        age_s: float = 0,
    ) -> Record:
        """The next record of a partition."""
        source = TopicPartition(topic or self.settings.topics.recordings, partition)
        place = self._offsets.get(source, 0) if offset is None else offset
        self._offsets[source] = place + 1
        timestamp = self.clock.wall_ms() - round(1000 * age_s)
        return Record(source.topic, partition, place, timestamp, key, value, headers)

    def poll(self, *records: Record) -> None:
        """Let the pipeline take records in, as one poll."""
        polled: list[Polled] = []
        for record in records:
            epoch = self.ownership.epoch(record.source)
            assert epoch is not None, f"{record.source} is not assigned"  # noqa: S101  # a mistake of the test, not of the product
            polled.append(Polled(record, epoch))
        self.pipeline.accept(polled)

    def settle(self, seconds: float = 0, most_steps: int = 10_000) -> None:
        """Step until nothing moves, then let time pass and step again."""
        self._quiet(most_steps)
        if seconds:
            self.clock.advance(seconds)
            self._quiet(most_steps)

    def results(self) -> Sequence[Mapping[str, object]]:
        """Rows of the results topic."""
        return self._rows(self.settings.topics.results)

    def ledger(self) -> Sequence[Mapping[str, object]]:
        """Rows of the ledger topic."""
        return self._rows(self.settings.topics.ledger)

    def position(self, partition: int = 0, topic: str | None = None) -> int | None:
        """The committed offset of a partition of the input topic."""
        return self.sink.position(topic or self.settings.topics.recordings, partition)

    def _rows(self, topic: str) -> list[Mapping[str, object]]:
        return [json.loads(output.value or b"null") for output in self.sink.values(topic)]

    def _quiet(self, most_steps: int) -> None:
        for _ in range(most_steps):
            if not self.pipeline.step():
                return
        raise RuntimeError(f"the pipeline still moves after {most_steps} steps")
