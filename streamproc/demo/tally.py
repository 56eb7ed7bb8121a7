"""What was announced against what readers of the outputs saw, offset by offset. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from streamproc.demo.plan import Announcement
from streamproc.operate.dead_letter import DeadLetter
from streamproc.records.analysis import Tier
from streamproc.records.ledger import LedgerEntry
from streamproc.records.result import EmotionResult

End = EmotionResult | DeadLetter


@dataclass(frozen=True, slots=True)
class Sent:
    """An announcement and the input offset that the broker gave it."""

    announcement: Announcement
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums; each counted from what was read, none from what was meant."""

    offsets_in: int
    results: int
    dead_letters: int
    retried: int
    """Of both: ended after they had been on a lane."""
    computed: int
    served: int
    """Results that needed no run of the network, since the same bytes were known."""
    result_ids: int
    repeats: int
    repeats_in_micro_batch: int
    """Repeats whose original was in the same micro-batch, by the ledger."""
    labelled: int
    right: int
    """Of the recordings with one known emotion: labelled with it."""
    audio_seconds: float
    """Of all results together."""


class Tally:
    """Takes what is read and knows what is still open. Ends of other runs on the same topics are left out."""

    def __init__(self, topic: str, sent: Sequence[Sent]) -> None:
        self._topic = topic
        self._sent = {(one.partition, one.offset): one for one in sent}
        self._ends: dict[tuple[int, int], list[End]] = defaultdict(list)
        self._ledger: list[LedgerEntry] = []

    def add(self, output: End | LedgerEntry) -> Sent | None:
        """Note one row; the announcement that it ends, if it ends one of this run."""
        match output:
            case LedgerEntry():
                if output.input_topic == self._topic:
                    self._ledger.append(output)
                return None
            case EmotionResult():
                topic, place = output.input_topic, (output.input_partition, output.input_offset)
            case DeadLetter():
                topic, place = output.topic, (output.partition, output.offset)
        if topic != self._topic or place not in self._sent:
            return None
        self._ends[place].append(output)
        return self._sent[place]

    @property
    def sent(self) -> int:
        """Offsets in."""
        return len(self._sent)

    @property
    def done(self) -> int:
        """Offsets that have an end."""
        return len(self._ends)

    def open(self) -> Sequence[Sent]:
        """Announcements without an end, in the order they were sent."""
        return [one for place, one in self._sent.items() if place not in self._ends]

    def ends(self) -> Iterator[tuple[Sent, End]]:
        """Announcements and how they ended, in the order they were sent."""
        for place, one in self._sent.items():
            for end in self._ends.get(place, ()):
                yield one, end

    def totals(self) -> Totals:
        """Add up."""
        results = [(one, end) for one, end in self.ends() if isinstance(end, EmotionResult)]
        dead = [end for _, end in self.ends() if isinstance(end, DeadLetter)]
        tiers = Counter(end.tier for _, end in results)
        labelled = [(one, end) for one, end in results if one.announcement.label is not None]
        repeats = list(self._repeats())
        return Totals(
            offsets_in=len(self._sent),
            results=len({(end.input_partition, end.input_offset) for _, end in results}),
            dead_letters=len({(end.partition, end.offset) for end in dead}),
            retried=sum(end.attempts > 1 for _, end in self.ends()),
            computed=tiers[Tier.COMPUTED],
            served=len(results) - tiers[Tier.COMPUTED],
            result_ids=len({end.result_id for _, end in results}),
            repeats=len(repeats),
            repeats_in_micro_batch=sum(self._together(*pair) for pair in repeats),
            labelled=len(labelled),
            right=sum(end.label == one.announcement.label for one, end in labelled),
            audio_seconds=round(sum(end.duration_ms for _, end in results) / 1000, 3),
        )

    def problems(self) -> Sequence[str]:
        """Everything that is not as the architecture says; empty when all is."""
        found = [f"{_name(one)} has no outcome" for one in self.open()]
        for place, ends in self._ends.items():
            if len(ends) > 1:
                found.append(f"{_name(self._sent[place])} has {len(ends)} outcomes")
        found += [text for one, end in self.ends() if (text := _mismatch(one, end))]
        found += self._computed_wrongly()
        found += self._mixed_up()
        return found

    def _computed_wrongly(self) -> Iterator[str]:
        """Equal bytes are computed once, whatever they are called."""
        computed: Counter[str] = Counter()
        for _, end in self.ends():
            if isinstance(end, EmotionResult):
                computed[end.content_sha256] += end.tier == Tier.COMPUTED
        for sha256, times in computed.items():
            if times != 1:
                names = [one.announcement.title for one in self._sent.values() if one.announcement.sha256 == sha256]
                yield f"the content of {names[0] if names else sha256} was computed {times} times"

    def _mixed_up(self) -> Iterator[str]:
        """One result_id for each event, however often it was sent."""
        by_event: dict[str, set[str]] = defaultdict(set)
        by_result: dict[str, set[str]] = defaultdict(set)
        for _, end in self.ends():
            if isinstance(end, EmotionResult):
                by_event[end.event_id].add(end.result_id)
                by_result[end.result_id].add(end.event_id)
        for event_id, ids in by_event.items():
            if len(ids) > 1:
                yield f"event {event_id} has {len(ids)} result_ids"
        for result_id, events in by_result.items():
            if len(events) > 1:
                yield f"result_id {result_id} belongs to {len(events)} events"

    def _repeats(self) -> Iterator[tuple[Sent, Sent]]:
        """Each announcement of bytes that were announced before, with the first one."""
        first: dict[str, Sent] = {}
        for one in self._sent.values():
            sha256 = one.announcement.sha256
            if sha256 is not None and first.setdefault(sha256, one) is not one:
                yield first[sha256], one

    def _together(self, first: Sent, again: Sent) -> bool:
        """Whether one transaction ended both: the ledger has a row for each transaction and partition."""
        low, high = sorted((first.offset, again.offset))
        return first.partition == again.partition and any(
            entry.input_partition == first.partition and entry.first_offset <= low and high <= entry.last_offset
            for entry in self._ledger
        )


def _name(one: Sent) -> str:
    return f"{one.announcement.title} (input offset {one.partition}/{one.offset})"


def _mismatch(one: Sent, end: End) -> str:
    """How an end differs from what is expected; empty when it does not."""
    kind, how = ("result", end.status) if isinstance(end, EmotionResult) else ("dead_letter", end.reason)
    expected = one.announcement
    if (kind, how) == (expected.ends, expected.how):
        return ""
    detail = f": {end.message}" if isinstance(end, DeadLetter) else ""
    return f"{_name(one)} ended as {kind} {how}, not as {expected.ends} {expected.how}{detail}"
