"""How one record's life is shown."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from streamproc.operate.audit.ledger import Counts
from streamproc.operate.dead_letter import DeadLetter
from streamproc.operate.lines import counted
from streamproc.operate.place import Place
from streamproc.operate.why.life import Announced, Life, Retry, Try, Written
from streamproc.records.ledger import LedgerEntry
from streamproc.records.result import EmotionResult

Line = tuple[int | None, str, str]
"""When (ms since the epoch), what, and more of it."""


def life_json(life: Life) -> Mapping[str, Any]:
    """Everything that was found."""
    announced = None
    if life.announced is not None:
        event = life.announced.event
        told = None if event is None else event.plain()
        announced = {**asdict(replace(life.announced, event=None)), "event": told}
    return {
        "origin": str(life.origin),
        "ended": life.ended,
        "announced": announced,
        "tries": [_try_json(one) for one in life.tries],
        "segments": [str(place) for place in life.segments],
        "put_back": None if life.put_back is None else {"at_ms": life.put_back.at_ms, "to": _place(life.put_back.to)},
        "remarks": list(life.remarks),
    }


def show_life(life: Life, console: Console) -> None:
    """In the order of time, with how long after the line before."""
    console.print(f"[bold]{escape(str(life.origin))}[/]")
    before: int | None = None
    for at_ms, what, more in _lines(life):
        since = "" if at_ms is None or before is None else f"{(at_ms - before) / 1000:+.3f} s"
        # Not a table: what is cut into lines at 80 columns can be neither found by grep nor pasted.
        console.print(Text(f"{_moment(at_ms):<23}  {since:>13}  {what:<11}  {_printable(more)}", no_wrap=True))
        before = before if at_ms is None else at_ms
    for remark in life.remarks:
        console.print(f"[yellow]{escape(remark)}[/]")


def _lines(life: Life) -> Iterator[Line]:
    if life.announced is not None:
        yield from _announced(life.announced)
    for number, one in enumerate(life.tries, 1):
        yield from _try(number, one)
    if life.put_back is not None:
        to = life.put_back.to
        yield life.put_back.at_ms, "put back", "its original was not found" if to is None else f"it goes on as {to}"
    if life.segments:
        shown = ", ".join(str(place) for place in life.segments[:8])
        more = f" and {len(life.segments) - 8} more" if len(life.segments) > 8 else ""  # noqa: PLR2004  # as above
        yield None, "segments", shown + more


def _announced(announced: Announced) -> Iterator[Line]:
    event = announced.event
    if event is not None:
        yield event.recorded_at, "recorded", f"s3://{event.bucket}/{event.object_key}"
    size = "a tombstone" if announced.size is None else f"{announced.size} bytes"
    times = "once" if announced.replays == 1 else f"{announced.replays} times"
    again = f", put back {times}, last from {announced.replay_of}" if announced.replays else ""
    named = "an event that cannot be read" if event is None else f"event {event.event_id}"
    yield announced.at_ms, "announced", f"{named}, key {announced.key}, {size}{again}"


def _try(number: int, one: Try) -> Iterator[Line]:
    what = None if one.outcome is None else one.outcome.what
    if isinstance(what, EmotionResult):
        yield what.produced_at - what.processing_ms, f"try {number}", f"taken from {one.taken_from}"
        label = "" if what.label is None or what.confidence is None else f" {what.label} {what.confidence:.2f}"
        segments = counted(what.segment_count, "segment")
        yield what.produced_at, "analysed", f"{what.status}{label}, tier {what.tier}, {segments}, {what.codec}"
        for uri in filter(None, (what.timeline_uri, what.embedding_uri)):
            yield None, "stored", uri
    else:
        yield None, f"try {number}", f"taken from {one.taken_from}"
    if one.committed is not None:
        row = one.committed.row
        yield row.committed_at, "committed", f"{_share(row)}; ledger {one.committed.row_at}"
    if one.outcome is not None:
        yield _outcome(one.outcome)


def _share(row: LedgerEntry) -> str:
    count = row.results + row.retries + row.dead_letters
    ends = Counts(row.results, row.retries, row.dead_letters).text
    micro_batch = f" in micro-batch {row.micro_batch} of {row.micro_batch_records}" if row.micro_batch else ""
    return (
        f"by slot {row.slot}{micro_batch} with {counted(count, 'record')} of this partition, "
        f"offsets {row.first_offset} to {row.last_offset} ({ends})"
    )


def _outcome(outcome: Written) -> Line:
    match outcome.what:
        case EmotionResult() as row:
            return outcome.at_ms, "result", f"{outcome.at}, result_id {row.result_id}, attempt {row.attempts}"
        case DeadLetter() as letter:
            return outcome.at_ms, "dead letter", f"{outcome.at}, {letter.stage}: {letter.reason}: {letter.message}"
        case Retry() as retry:
            why = f"{retry.stage}: {retry.reason}: {retry.message}"
            return outcome.at_ms, "retry", f"{outcome.at}, after attempt {retry.attempts}, {why}"


def _try_json(one: Try) -> Mapping[str, Any]:
    committed, outcome = one.committed, None
    if one.outcome is not None:
        what = one.outcome.what
        fields = what._asdict() if isinstance(what, EmotionResult) else asdict(what)
        outcome = {"at": str(one.outcome.at), "at_ms": one.outcome.at_ms, "kind": _KINDS[type(what)], **fields}
    return {
        "taken_from": str(one.taken_from),
        "committed": None if committed is None else {"at": str(committed.row_at), **asdict(committed.row)},
        "outcome": outcome,
    }


def _place(place: Place | None) -> str | None:
    return None if place is None else str(place)


_KINDS: Mapping[type[object], str] = {EmotionResult: "result", DeadLetter: "dead_letter", Retry: "retry"}


def _moment(at_ms: int | None) -> str:
    if at_ms is None:
        return ""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def _printable(text: str) -> str:
    """A producer's text may hold what would move the cursor."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
