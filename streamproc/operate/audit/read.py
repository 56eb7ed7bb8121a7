"""Reading what the proof needs: input, ledger, lanes, dead letters and results, each once, committed records only."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from typing import TypeVar

from confluent_kafka import Message

from streamproc.errors import UsageError
from streamproc.kafka.log import Log
from streamproc.kafka.messages import bare, offset_of, whole
from streamproc.kafka.registry import Registry, connect
from streamproc.operate.audit.check import NO_ROWS, Evidence, check
from streamproc.operate.audit.finding import AuditReport, Finding, Unchecked, Unseen, Window
from streamproc.operate.audit.gather import Gathered
from streamproc.operate.audit.lanes import company
from streamproc.operate.audit.ledger import Coverage
from streamproc.operate.audit.outcomes import Outcomes
from streamproc.operate.audit.outside import committed_outside, rows_outside
from streamproc.operate.audit.window import Selection, reached, select, unseen, visible, waiting, windows
from streamproc.records.outcome import OutcomeKind
from streamproc.records.record import Record, TopicPartition
from streamproc.settings import OVERDUE_S, Settings

T = TypeVar("T")

MOST_OFFSETS = 20_000_000
"""Of all windows together: 0.9 GB of memory."""
MOST_CUT = 100_000
"""Offsets before the first that is kept whose outputs are gathered for a row that reaches there: far more than a
micro-batch has. A longer row is not checked."""
MOST_NAMED = 10_000
"""Faults that are told one by one; the rest is counted."""
CLOCK_MS = 60_000
"""How far the clocks of workers may be apart: outputs older than the first commit of the windows by more than this are
not looked at."""

Tell = Callable[[str, str, int, int], None]
"""What is read, a word on it, how many records of it, of how many at most."""


def wall_ms() -> int:
    """Now, in ms since the epoch."""
    return time.time_ns() // 1_000_000


def audit(settings: Settings, selection: Selection, tell: Tell) -> AuditReport:
    """Prove a window of ``topics.recordings``, or name what is wrong.

    Raises UsageError for a window that is none, or larger than memory should hold; DependencyDownError; GoneError.
    """
    with connect(settings.registry) as registry, closing(Log(settings, settings.kafka.group)) as log:
        return Auditor(settings, log, registry, tell).run(selection)


class Auditor:
    """One audit. Everything is asked in an order that makes what was promised visible before it is looked for."""

    def __init__(
        self, settings: Settings, log: Log, registry: Registry, tell: Tell, now_ms: Callable[[], int] = wall_ms
    ) -> None:
        self._settings = settings
        self._now_ms = now_ms
        self._log = log
        self._registry = registry
        self._tell = tell

    def run(self, selection: Selection) -> AuditReport:
        """Read and judge. Raises as ``audit`` does."""
        began, log, topics = time.monotonic(), self._log, self._settings.topics
        inputs = select(log.partitions(topics.recordings), selection)
        lanes = self._partitions(topics.lanes)
        committed, lanes_done = log.committed(inputs), log.committed(lanes)
        kept = log.bounds(inputs)  # after what was committed: what is beyond the end now was not there then either
        done = reached(log, kept, committed)
        asked = windows(log, kept, done, selection)
        seen = {p: visible(window, kept[p], done.get(p, 0)) for p, window in asked.items()}
        outputs = [*lanes, *self._partitions((topics.dead_letters, topics.results))]
        ledger = self._partitions((topics.ledger,))
        written = log.decided([*outputs, *ledger], self._settings.kafka.transaction_timeout_s + OVERDUE_S)

        # Asked for again: the ledger may have rows of a partition that the input got meanwhile.
        grown = log.bounds([*log.partitions(topics.recordings), *lanes])
        ends = {partition: stretch.stop for partition, stretch in grown.items()}
        gathered = Gathered(topics, self._registry, ends)
        self._read("ledger", {p: written[p] for p in ledger}, bare, _each(gathered.ledger_row))
        coverage = gathered.coverage()
        outcomes = self._outcomes(seen, coverage, {p: range(kept[p].start, ends[p]) for p in inputs})
        gathered.expect(outcomes)
        there = {p: range(max(held.stretch.start, held.kept_from), held.stretch.stop) for p, held in outcomes.items()}
        self._read("recordings", there, offset_of, gathered.inputs)
        since = self._since({p: written[p] for p in outputs}, seen, coverage)
        # Retries first: what comes of a record later is told apart from what comes beside a retry.
        self._read("retries", _of(since, topics.lanes), whole, _each(gathered.lane_record))
        stretches = {p: held.stretch for p, held in outcomes.items()}
        gathered.expect_company(company(gathered.lanes, coverage, seen, stretches))
        self._read("dead letters", _of(since, (topics.dead_letters,)), whole, _each(gathered.dead_letter))
        self._read("results", _of(since, (topics.results,)), bare, gathered.results)
        evidence = Evidence(
            windows=seen,
            outcomes=outcomes,
            coverage=coverage,
            lanes=gathered.lanes,
            company=gathered.company,
            lanes_done=lanes_done,
            lanes_taken=log.committed(lanes),
            outputs_since_ms={
                kind: self._kept_since(_of(written, names))
                for kind, names in (
                    (OutcomeKind.RESULT, (topics.results,)),
                    (OutcomeKind.RETRY, topics.lanes),
                    (OutcomeKind.DEAD_LETTER, (topics.dead_letters,)),
                )
            },
            ledger_cut=any(written[p].start for p in ledger),
        )
        blind = [one for p, window in asked.items() for one in unseen(p, window, kept[p], done.get(p, 0))]
        others = _named(coverage, topics.recordings) if selection.partition is None else ()
        ours = sorted({*inputs, *lanes, *others})
        outside = (*committed_outside(kept, committed), *rows_outside(coverage, ours, ends))
        said = [*outside, *blind, *gathered.findings, *check(evidence)]
        behind = sum(waiting(window, kept[p], done.get(p, 0)) for p, window in asked.items())
        return self._report(evidence, said, behind, time.monotonic() - began)

    def _partitions(self, topics: Collection[str]) -> list[TopicPartition]:
        return [partition for topic in topics for partition in self._log.partitions(topic)]

    def _read(
        self,
        name: str,
        stretches: Mapping[TopicPartition, range],
        take: "Callable[[Message[bytes, bytes]], T]",
        note: Callable[[Sequence[T]], None],
    ) -> None:
        most, done = sum(map(len, stretches.values())), 0
        for some in self._log.read(stretches, take):
            note(some)
            done += len(some)
            if some and done < most:
                self._tell(name, "read", done, most)
        self._tell(name, "read", most, most)  # offsets without a record are behind us as well

    def _outcomes(
        self,
        seen: Mapping[TopicPartition, range],
        coverage: Mapping[TopicPartition, Coverage],
        kept: Mapping[TopicPartition, range],
    ) -> Mapping[TopicPartition, Outcomes]:
        """Room for the windows, and for the ledger's rows that reach into them."""
        stretches = {}
        for partition, window in seen.items():
            around = coverage.get(partition, NO_ROWS).around(window)
            first = max(around.start, kept[partition].start - MOST_CUT, 0)
            end = min(around.stop, kept[partition].stop)
            stretches[partition] = range(first, max(first, end))
        if (offsets := sum(map(len, stretches.values()))) > MOST_OFFSETS:
            raise UsageError(
                f"the window has {offsets:,} offsets; one audit takes {MOST_OFFSETS:,}. "
                "Narrow it with --partition, --from and --to"
            )
        topics = self._settings.topics
        stand = {OutcomeKind.RESULT: topics.results, OutcomeKind.DEAD_LETTER: topics.dead_letters}
        return {p: Outcomes(stretch, stand, kept[p].start) for p, stretch in stretches.items()}

    def _since(
        self,
        outputs: Mapping[TopicPartition, range],
        seen: Mapping[TopicPartition, range],
        coverage: Mapping[TopicPartition, Coverage],
    ) -> Mapping[TopicPartition, range]:
        """Outputs from the first commit of the windows on; all of them where nothing tells when that was."""
        rows = [row for p, window in seen.items() for row in coverage.get(p, NO_ROWS).over(window)]
        if not rows:
            return outputs
        starts = self._log.at(outputs, max(0, min(row.committed_at for row in rows) - CLOCK_MS))
        return {p: range(max(starts[p], stretch.start), stretch.stop) for p, stretch in outputs.items()}

    def _kept_since(self, outputs: Mapping[TopicPartition, range]) -> int:
        """The moment (ms since the epoch) before which retention has taken outputs; 0 when it took none.

        Of a partition that it emptied nothing is there that could tell: that may have been now.
        """
        cut = {partition: stretch for partition, stretch in outputs.items() if stretch.start}
        first = [self._first(partition, stretch) for partition, stretch in cut.items()]
        return max((self._now_ms() if one is None else one.timestamp_ms for one in first), default=0)

    def _first(self, partition: TopicPartition, stretch: range) -> Record | None:
        for some in self._log.read({partition: stretch}, whole):
            if some:
                return some[0]
        return None

    def _report(
        self, evidence: Evidence, said: Collection[Finding | Unseen | Unchecked], behind: int, seconds: float
    ) -> AuditReport:
        held = evidence.outcomes
        counts = {p: held[p].count(window) for p, window in evidence.windows.items()}
        findings = [one for one in said if isinstance(one, Finding)]
        blind = [one for one in said if isinstance(one, Unseen)]
        chains = ((p, offset) for p, outcomes in held.items() for offset, c in outcomes.chains.items() if c.moves)
        return AuditReport(
            topic=self._settings.topics.recordings,
            windows=tuple(
                Window(p, window.start, window.stop, counts[p], len(window) - counts[p])
                for p, window in evidence.windows.items()
            ),
            results=sum(held[p].ends(window, OutcomeKind.RESULT) for p, window in evidence.windows.items()),
            dead_letters=sum(held[p].ends(window, OutcomeKind.DEAD_LETTER) for p, window in evidence.windows.items()),
            retried=sum(offset in evidence.windows[p] for p, offset in chains),
            ledger_rows=sum(
                len(list(evidence.coverage.get(p, NO_ROWS).over(window))) for p, window in evidence.windows.items()
            ),
            unchecked_rows=sum(isinstance(one, Unchecked) for one in said),
            findings=tuple(findings[:MOST_NAMED]),
            finding_count=len(findings),
            unseen=tuple(blind[:MOST_NAMED]),
            unseen_count=len(blind),
            advisory=self._settings.kafka.delivery == "at_least_once",
            waiting=behind,
            seconds=seconds,
        )


def _each(note: Callable[[T], None]) -> Callable[[Sequence[T]], None]:
    def all_of(some: Sequence[T]) -> None:
        for one in some:
            note(one)

    return all_of


def _named(coverage: Mapping[TopicPartition, Coverage], topic: str) -> Collection[TopicPartition]:
    """Partitions of a topic that the ledger has rows of, whether the topic has them or not."""
    return [partition for partition in coverage if partition.topic == topic]


def _of(stretches: Mapping[TopicPartition, range], topics: Collection[str]) -> Mapping[TopicPartition, range]:
    return {partition: stretch for partition, stretch in stretches.items() if partition.topic in topics}
