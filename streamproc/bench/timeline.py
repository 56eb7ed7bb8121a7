"""When each micro-batch was in which stage, and a picture of it. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

STAGES: Mapping[str, tuple[str, str]] = {
    "fetch": ("to fetch", "fetched"),
    "prepare": ("to prepare", "prepared"),
    "infer": ("prepared", "computed"),
    "commit": ("settled", "committed"),
}
"""From the first record's step to the last record's; of a commit, from the last record that was settled."""


@dataclass(frozen=True, slots=True)
class Span:
    """A micro-batch in a stage, in seconds since the first step of all."""

    micro_batch: int
    stage: str
    begin_s: float
    end_s: float


def spans(lines: Sequence[str]) -> Sequence[Span]:
    """What a traced worker wrote, by micro-batch and stage. Raises ValueError for a line that is not of it."""
    steps: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
    for line in lines:
        what, number, _, at = line.split("\t")
        steps[int(number), what].append(float(at))
    if not steps:
        return []
    origin = min(min(times) for times in steps.values())
    found = []
    for batch in sorted({batch for batch, _ in steps}):
        for stage, (first, last) in STAGES.items():
            begins, ends = steps[batch, first], steps[batch, last]
            if begins and ends:
                begin = max(begins) if stage == "commit" else min(begins)
                found.append(Span(batch, stage, begin - origin, max(ends) - origin))
    return found


def steps(lines: Sequence[str]) -> Iterator[Mapping[str, float]]:
    """For each record, in the order they were taken: the seconds from its step before, by step; the last is its commit.

    Raises ValueError for a line that is not of a trace.
    """
    records: defaultdict[tuple[int, int], dict[str, float]] = defaultdict(dict)
    committed: dict[int, float] = {}
    for line in lines:
        what, batch, index, at = line.split("\t")
        if what == "committed":
            committed[int(batch)] = float(at)
        else:
            records[int(batch), int(index)][what] = float(at)
    for (number, _), times in sorted(records.items()):
        if number in committed:
            times["committed"] = committed[number]
        yield {name: at - before for (_, before), (name, at) in pairwise(times.items())}


def picture(found: Sequence[Span], width: int) -> Iterator[str]:
    """A line for each micro-batch and stage, time from left to right, in so many columns.

    Where bars of different micro-batches stand above each other, their stages overlapped.
    """
    if not found:
        return
    origin, end = min(span.begin_s for span in found), max(span.end_s for span in found)
    names = [f"{span.micro_batch:>5} {span.stage:<8}" for span in found]
    room = width - len(names[0]) - 1
    scale = room / max(end - origin, 1e-9)
    for name, span in zip(names, found, strict=True):
        begin = min(room - 1, int((span.begin_s - origin) * scale))
        bar = max(1, round((span.end_s - span.begin_s) * scale))
        yield f"{name} {' ' * begin}{'█' * min(bar, room - begin)}"
    yield f"{'':>14} {'0 s':<{room - 8}}{end - origin:>6.2f} s"
