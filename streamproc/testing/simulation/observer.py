"""Every commit, checked as it happens."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from streamproc.records.record import TopicPartition
from streamproc.testing.broker.values import Commit
from streamproc.testing.simulation.bounds import check_bounds
from streamproc.testing.simulation.braked import Braked
from streamproc.testing.simulation.ends import all_ends
from streamproc.testing.simulation.reading import End, Origin, Reader, Try, row_of
from streamproc.testing.simulation.reference import differences, ledger_row, segment_rows
from streamproc.testing.simulation.violation import Violation
from streamproc.testing.simulation.world import EPOCH_MS, World
from streamproc.testing.simulation.written import check_embedding, check_timeline


class Observer:
    """Looks at every commit as it happens, when the broker knows who owns what."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._reader = Reader(world.settings.topics)
        self._once = world.plan.delivery == "exactly_once"
        self._topics = topics = world.settings.topics
        self._delays_s = dict(zip(topics.lanes, world.settings.retry.delays_s, strict=True))
        self._braked = Braked(world.settings)
        self.transactions = 0
        self.violation: Violation | None = None
        """The first that was seen. Not raised here: this runs inside the worker's own call."""

    @property
    def brakes(self) -> int:
        """How often brakes went on."""
        return self._braked.times

    def __call__(self, committed: Commit) -> None:
        """Check one transaction, or one plain commit of offsets."""
        if not committed.member_id:
            return  # by hand, by the operator, or without offsets, by upstream
        self.transactions += 1
        try:
            self._check(committed)
            check_bounds(self._world)
        except Violation as found:
            self.violation = self.violation or found

    def _check(self, committed: Commit) -> None:
        world = self._world
        world.tell(
            f"{committed.member_id} commits {[f'{o.topic}/{o.partition} to {o.offset}' for o in committed.offsets]}"
        )
        taken: list[Try] = []
        for moved in committed.offsets:
            place = TopicPartition(moved.topic, moved.partition)
            if moved.owner_when_sent != committed.member_id:
                raise Violation(
                    "G4", f"{committed.member_id} commits {place} up to {moved.offset}: it is {moved.owner_when_sent}'s"
                )
            before = moved.before or 0
            if moved.offset < before:
                raise Violation("G4", f"{place} goes back from {before} to {moved.offset}")
            taken += self._tries(place, before, moved.offset)
            self._waited(place, before, moved.offset)
        found = self._reader.ends(committed.outputs) if self._once else all_ends(world)
        ends = {self._try_of(end): end for end in found}
        gone = {Origin(*lost) for lost in world.upstream.lost}
        taken = [one for one in taken if one.origin not in gone or (one.origin, one.attempts) in ends]
        tried = Counter((one.origin, one.attempts) for one in taken)
        if self._once:
            self._same(tried, Counter(map(self._try_of, found)), committed)
            for process in world.processes():
                if process.member == committed.member_id:
                    # By the process: who joins anew has another member id, and the brake that it had.
                    self._braked.check(process.name, found, process.runtime.brake, world.fibers.now)
            self._ledger(committed, taken, ends)
            self._segments(committed)
            self._objects(committed)
        elif missing := tried.keys() - ends.keys():
            raise Violation("G1", f"offsets are committed before the outcomes of {sorted(map(str, missing))}")

    def _tries(self, place: TopicPartition, before: int, after: int) -> list[Try]:
        """What there is to be read in a stretch of a partition, and was, whatever retention has deleted since."""
        if place.topic == self._topics.recordings:
            sent, number = self._world.upstream.sent, place.partition
            offsets = (offset for offset in range(before, after) if (number, offset) in sent)
            return [Try(place, offset, Origin(number, offset), 1) for offset in offsets]
        records = self._world.servers.broker.read(*place)
        return [self._reader.again(record) for record in records if before <= record.offset < after]

    def _try_of(self, end: End) -> tuple[Origin, int]:
        """Which record an outcome is of: in strict order all tries of one are made while it is taken once."""
        return end.origin, 1 if self._world.plan.strict else end.attempts

    def _waited(self, place: TopicPartition, first: int, following: int) -> None:
        now_ms, delay_ms = self._world.clock.wall_ms(), round(1000 * self._delays_s.get(place.topic, 0))
        for record in self._world.servers.broker.read(*place) if delay_ms else ():
            if first <= record.offset < following and now_ms < record.timestamp_ms + delay_ms:
                left_ms = record.timestamp_ms + delay_ms - now_ms
                raise Violation("lanes", f"{place} offset {record.offset} was tried {left_ms} ms before it was due")

    def _same(self, tried: Counter[tuple[Origin, int]], ended: Counter[tuple[Origin, int]], committed: Commit) -> None:
        if missing := tried - ended:
            raise Violation("G1", f"offsets up to {committed.offsets} are committed without outcomes of {missing}")
        if more := ended - tried:
            raise Violation("G2", f"outcomes are committed without the offsets of {more}, or twice")

    def _ledger(self, committed: Commit, taken: Sequence[Try], ends: Mapping[tuple[Origin, int], End]) -> None:
        by_partition: defaultdict[TopicPartition, list[Try]] = defaultdict(list)
        for one in taken:
            by_partition[one.place].append(one)
        written = [output for output in committed.outputs if output.topic == self._topics.ledger]
        if Counter(output.key for output in written) != Counter(str(place).encode() for place in by_partition):
            keys = [output.key for output in written]
            raise Violation("G2", f"the ledger has rows of {keys}, committed were {[*map(str, by_partition)]}")
        rows = {output.key: row_of(output) for output in written}
        slot = (committed.transactional_id or "").removeprefix(f"{self._world.settings.kafka.transactional_prefix}-")
        numbers = {row.get("micro_batch") for row in rows.values()}
        if len(numbers) != bool(rows) or not all(isinstance(number, int) for number in numbers):
            raise Violation("G2", f"the ledger's rows of one transaction name the micro-batches {numbers}")
        for place, tries in by_partition.items():
            lines = [(one.offset, ends[one.origin, one.attempts]) for one in tries]
            row = rows[str(place).encode()]
            own = {"committed_at": row.get("committed_at"), "micro_batch": row.get("micro_batch")}
            odd = differences(row, {**ledger_row(slot, place, lines), "micro_batch_records": len(taken), **own})
            if odd:
                raise Violation("G2", f"the ledger's row of {place} is not as it should be: {odd}")
            at = row["committed_at"]
            if not isinstance(at, int) or not EPOCH_MS <= at <= self._world.clock.wall_ms():
                raise Violation("G2", f"the ledger's row of {place} says that it was committed at {at!r}")

    def _objects(self, committed: Commit) -> None:
        for row in (row_of(output) for output in committed.outputs if output.topic == self._topics.results):
            announced = self._world.upstream.sent[row["input_partition"], row["input_offset"]]
            if row["timeline_uri"] is not None:
                check_timeline(self._world, announced)
            if row["embedding_uri"] is not None:
                check_embedding(self._world, announced)

    def _segments(self, committed: Commit) -> None:
        results = [row_of(output) for output in committed.outputs if output.topic == self._topics.results]
        origins = [self._world.upstream.sent[row["input_partition"], row["input_offset"]] for row in results]
        asked = Counter(row["segment_id"] for announced in origins for row in segment_rows(announced))
        found = Counter(
            row_of(output)["segment_id"] for output in committed.outputs if output.topic == self._topics.segments
        )
        if found != asked:
            raise Violation("G2", f"the segments {asked} belong to the transaction, written were {found}")
