"""Which dead letters of one partition were put back. Travels as the metadata of the replay group's offset.

A replay may take one reason, or begin at a moment, and so pass over letters that a later one wants: one offset cannot
tell them apart. So stretches of offsets are kept per choice: within one, all letters of that reason that had been put
back fewer than ``limit`` times are done.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from streamproc.errors import UsageError

ANY = "*"
"""In the place of a reason: all of them."""
MOST_BYTES = 4096
"""What a broker keeps beside an offset, unless it is told otherwise (``offset.metadata.max.bytes``)."""
_ENTRY = re.compile(r"([a-z_0-9]{1,64}|\*) (\d{1,9}) (\d{1,18}-\d{1,18}(?:,\d{1,18}-\d{1,18})*)")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Offsets ``first`` up to ``end``, which is outside, as one replay went through them."""

    reason: str
    limit: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Done:
    """What is done of one partition."""

    stretches: frozenset[Stretch] = frozenset()

    def covers(self, offset: int, reason: str, replays: int) -> bool:
        """Whether a letter that had been put back ``replays`` times before is done."""
        return any(
            one.first <= offset < one.end and replays < one.limit and one.reason in {ANY, reason}
            for one in self.stretches
        )

    def skips_to(self, start: int, reason: str, limit: int) -> int:
        """From ``start`` on, the first offset where a replay of this choice can find anything."""
        for one in sorted(self.stretches, key=lambda stretch: stretch.first):
            if one.first <= start < one.end and one.limit >= limit and one.reason in {ANY, reason}:
                start = one.end
        return start

    def add(self, reason: str, limit: int, stretch: range) -> "Done":
        """The same with one more stretch, joined to those that it touches."""
        first, end, others = stretch.start, stretch.stop, set(self.stretches)
        for one in sorted(self.stretches, key=lambda other: other.first):
            if (one.reason, one.limit) == (reason, limit) and one.first <= end and first <= one.end:
                first, end = min(first, one.first), max(end, one.end)
                others.discard(one)
        return Done(frozenset({*others, Stretch(reason, limit, first, end)})) if stretch else self

    def kept(self, start: int) -> "Done":
        """The same without what retention has passed."""
        return Done(frozenset(one for one in self.stretches if one.end > start))

    def text(self) -> str:
        """As it is committed. Raises UsageError when it is more than a broker keeps."""
        entries = []
        for reason, limit in sorted({(one.reason, one.limit) for one in self.stretches}):
            spans = sorted((one.first, one.end) for one in self.stretches if (one.reason, one.limit) == (reason, limit))
            entries.append(f"{reason} {limit} " + ",".join(f"{first}-{end}" for first, end in spans))
        text = ";".join(entries)
        if len(text) > MOST_BYTES:
            raise UsageError(
                "replays of this topic were cut into more pieces than a broker keeps: "
                "put back all reasons at once, without --since, which joins them"
            )
        return text


def parse(text: str) -> Done:
    """Read what was committed. Raises UsageError for what no replay wrote."""
    return Done(frozenset(_stretches(text.split(";")))) if text else Done()


def _stretches(entries: Iterable[str]) -> Iterator[Stretch]:
    for entry in entries:
        found = _ENTRY.fullmatch(entry)
        if found is None:
            raise UsageError(f"the replay group's offset has {entry[:64]!r} beside it, which no replay wrote")
        for span in found[3].split(","):
            first, end = span.split("-")
            yield Stretch(found[1], int(found[2]), int(first), int(end))
