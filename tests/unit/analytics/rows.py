"""Rows of calls that never were, and windows of them by the plainest recomputation there is."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from hypothesis import strategies as st

from streamproc.analytics.fold import Fold
from streamproc.analytics.observation import Mark, Observation, Step
from streamproc.analytics.partial import Partial, Place, Progress
from streamproc.analytics.view import View
from streamproc.analytics.windows import calendar
from streamproc.settings import AnalyticsSettings

SETTINGS = AnalyticsSettings(tumbling_s=60, hopping_s=60, hop_s=20, retention_s=100, ahead_s=5)
CALENDAR = calendar(SETTINGS)
LABELS = ("angry", "happy", "neutral", None)
PARTITIONS = 3
TERMS = "t"


@dataclass(frozen=True, slots=True)
class Read:
    """A row where it stands."""

    partition: int
    row: Observation | Step


def result(number: int, at_ms: int, agent: str = "a", label: str | None = "angry") -> Observation:
    return Observation(f"r{number}", at_ms, at_ms, (("all", ""), ("agent", agent)), label, 500_000, at_ms)


def step(number: int, at_ms: int, index: int, negativity: int = 0, channel: int = 0) -> Step:
    return Step(f"r{number}", channel, at_ms, at_ms, Mark(index * 1000, index, negativity))


def empty(ahead_ms: int = 0, most_values: int = SETTINGS.most_values) -> Fold:
    return Fold(CALENDAR, ahead_ms, most_values)


@st.composite
def reads(draw: st.DrawFn) -> list[Read]:
    """Rows of some recordings with repeats, in any order; what belongs to one recording is on one partition."""
    rows: list[Read] = []
    for number in range(draw(st.integers(0, 12))):
        partition, at_ms = draw(st.integers(0, PARTITIONS - 1)), draw(st.integers(0, 400_000))
        late = draw(st.sampled_from([0, 0, 0, 3_000, 6_000]))
        label, agent = draw(st.sampled_from(LABELS)), draw(st.sampled_from("ab"))
        keys = (("all", ""), ("agent", agent))
        clock_ms = at_ms + draw(st.sampled_from([0, 0, 0, 3_000, 6_000]))  # of the host that made it
        sure = draw(st.integers(0, 1_000_000))
        one = Observation(f"r{number}", clock_ms + late, clock_ms, keys, label, sure, at_ms)
        rows.append(Read(partition, one))
        for index in range(draw(st.integers(0, 4))):
            start_ms = draw(st.sampled_from([0, 0, 15_000, 30_000]))  # channels often begin together
            mark = Mark(start_ms, index, draw(st.integers(0, 1_000_000)))
            rows.append(Read(partition, Step(f"r{number}", draw(st.integers(0, 1)), clock_ms + late, at_ms, mark)))
    repeats = draw(st.lists(st.sampled_from(rows), max_size=8)) if rows else []
    return draw(st.permutations(rows + repeats))


def fold_all(rows: Iterable[Read]) -> dict[int, Fold]:
    folds = {partition: empty(SETTINGS.ahead_s * 1000) for partition in range(PARTITIONS)}
    for read in rows:
        put(folds[read.partition], read.row)
    return folds


def put(fold: Fold, row: Observation | Step) -> None:
    if isinstance(row, Observation):
        fold.result(row)
    else:
        fold.segment(row)


def tell(view: View, folds: Mapping[int, Fold]) -> None:
    for partition, fold in folds.items():
        for key, start, tally in fold.changes():
            view.take(Partial(Place(TERMS, partition, key, start), tally))
        view.take(Progress(TERMS, partition, fold.watermark))


def shown(view: View) -> dict[Any, tuple[Any, ...]]:
    """Every live window."""
    return {
        (w.kind, w.key, w.start): (
            w.tally.results,
            +w.tally.labels,
            w.tally.confidence,
            w.tally.changed,
            w.tally.change,
        )
        for w in view.windows_of(view.everything())
    }


def written(row: Observation | Step) -> int:
    """Its record's time."""
    return row.written_at if isinstance(row, Observation) else row.produced_at


def ahead(row: Observation | Step) -> bool:
    """Whether a time of a row is too far ahead of one that comes after it."""
    times = (row.recorded_at, row.produced_at, written(row))
    return any(one > other + SETTINGS.ahead_s * 1000 for one, other in combinations(times, 2))


def recomputed(rows: Iterable[Read]) -> dict[Any, tuple[Any, ...]]:
    """The same from nothing but the rows: each window by itself, each result once, with sorted segments."""
    results: dict[str, Observation] = {}
    marks: dict[tuple[str, int], set[Mark]] = {}
    for read in rows:
        if ahead(read.row):
            continue
        if isinstance(read.row, Observation):
            results[read.row.result_id] = read.row
        else:
            marks.setdefault((read.row.result_id, read.row.channel), set()).add(read.row.mark)
    now = max((min(row.recorded_at, row.produced_at) for row in results.values()), default=0)
    found: dict[Any, tuple[Any, ...]] = {}
    for kind, size, hop in (("tumbling", 60_000, 60_000), ("hopping", 60_000, 20_000)):
        for start in range(-60_000, 500_000, hop):
            if start + size + SETTINGS.retention_s * 1000 <= now:
                continue
            inside = [row for row in results.values() if start <= row.recorded_at < start + size]
            for key in {key for row in inside for key in row.keys}:
                mine = [row for row in inside if key in row.keys]
                calls = [sorted(marks.get((row.result_id, channel), ())) for row in mine for channel in (0, 1)]
                changes = [call[-1].negativity - call[0].negativity for call in calls if len(call) > 1]
                labels = Counter(row.label for row in mine if row.label)
                sure = sum(row.confidence for row in mine if row.label)
                found[kind, key, start] = (len(mine), labels, sure, len(changes), sum(changes))
    return found
