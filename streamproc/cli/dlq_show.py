"""How dead letters are shown."""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from streamproc.cli.rows import PipeConsole, until_unread
from streamproc.operate.dlq.letter import Letter
from streamproc.operate.dlq.replay import Replayed
from streamproc.operate.dlq.stats import Count
from streamproc.operate.lines import counted, moment, tail

HEADER = "  ".join(
    (
        f"{'given up (UTC)':<19}",
        f"{'dead letter':<34}",
        f"{'origin':<34}",
        f"{'reason':<18}",
        "stage    replays  state  key",
    )
)

_TO_THE_MINUTE = 16
_FIRST = 64
"""Bytes of a value that nobody can read: enough to see who sends it."""
_NAMED = 50
"""Letters that a replay shows one by one."""
_COLUMNS: Mapping[str, Literal["left", "right"]] = {
    "reason": "left",
    "stage": "left",
    "letters": "right",
    "open": "right",
    "again": "right",
    "first (UTC)": "left",
    "last (UTC)": "left",
}


def show_letters(letters: Iterable[Letter], *, as_json: bool) -> int:
    """Print each as it comes, for as long as somebody reads; how many there were."""
    console = PipeConsole(soft_wrap=True)
    shown = 0
    with until_unread():
        for shown, letter in enumerate(letters, 1):  # the last number is the answer
            if as_json:
                typer.echo(json.dumps(_line_json(letter), ensure_ascii=False))
                continue
            if shown == 1:
                console.print(Text(HEADER, style="bold", no_wrap=True))
            console.print(_line(letter))
    return shown


def letter_json(letter: Letter) -> Mapping[str, Any]:
    """Everything of one letter."""
    event = letter.event
    told = None if event is None else event.plain()
    return {
        **_line_json(letter),
        "advice": letter.told.advice,
        "uri": letter.uri,
        "value_base64": None if letter.record.value is None else b64encode(letter.record.value).decode(),
        "headers": [[name, _text(value)] for name, value in letter.headers],
        "event": told,
    }


def show_letter(letter: Letter, console: Console) -> None:
    """What happened, to what, and what to do."""
    told = letter.told
    rows: list[tuple[str, object]] = [
        ("dead letter", letter.place),
        ("origin", f"{told.topic}/{told.partition}/{told.offset}"),
        ("key", told.key),
        ("first seen", moment(told.first_seen_ms)),
        ("given up", f"{moment(told.at_ms)} after {counted(told.attempts, 'attempt')}{_before(letter.replays)}"),
        ("reason", told.reason),
        ("stage", told.stage),
        ("message", told.message),
        ("to do", told.advice),
        ("put back", "no" if letter.put_back_ms is None else f"{moment(letter.put_back_ms)}: `why` tells where to"),
    ]
    if letter.uri is not None:
        rows.append(("original", letter.uri))
    if letter.event is not None:
        told_event = {**letter.event.plain(), "outputs": ", ".join(sorted(letter.event.outputs))}
        told_event["recorded_at"] = moment(letter.event.recorded_at)
        rows += [(f"event.{name}", value) for name, value in told_event.items() if value]
    elif letter.record.value is not None:
        rows.append(("value", _first_bytes(letter.record.value)))
    rows += [(f"header {name}", _text(value)) for name, value in letter.headers]
    # Not a table: what is cut into lines at 80 columns can be neither found by grep nor pasted.
    width = max(len(name) for name, _ in rows) + 2
    for name, value in rows:
        console.print(Text.assemble((_printable(f"{name:<{width}}"), "dim"), _printable(str(value)), no_wrap=True))


def stats_json(counts: Sequence[Count], foreign: int, *, undecided: bool) -> Mapping[str, Any]:
    """The table for programs; ``foreign`` is how many records are no dead letters of ours.

    ``undecided``: a replay's transaction is open, so fewer may be open than is told.
    """
    return {
        "letters": sum(one.letters for one in counts),
        "open": sum(one.open for one in counts),
        "foreign": foreign,
        "undecided": undecided,
        "by_reason": [asdict(one) for one in counts],
    }


def show_stats(counts: Sequence[Count], console: Console) -> None:
    """One row for each reason and stage, then what to do about each reason."""
    if not counts:
        console.print("0 dead letters")
        return
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name, justify in _COLUMNS.items():
        table.add_column(name, justify=justify, no_wrap=True)
    for one in counts:
        numbers = (f"{one.letters:,}", f"{one.open:,}", f"{one.replayed:,}")
        times = (moment(at_ms)[:_TO_THE_MINUTE] for at_ms in (one.first_ms, one.last_ms))
        table.add_row(escape(one.reason), escape(one.stage), *numbers, *times)
    console.print(table)
    for reason, advice in {one.reason: one.advice for one in counts}.items():
        console.print(f"[red]{escape(reason)}[/]: {escape(advice)}", soft_wrap=True)
    letters, still_open = sum(one.letters for one in counts), sum(one.open for one in counts)
    console.print(f"{counted(letters, 'dead letter')}, {still_open:,} of them open")


def replay_json(replayed: Replayed, *, dry_run: bool) -> Mapping[str, Any]:
    """The summary for programs."""
    left = [{"place": str(place), "why": why} for place, why in replayed.left]
    named = [{**asdict(one), "letter": str(one.letter), "origin": str(one.origin)} for one in replayed.named]
    return {"dry_run": dry_run, **asdict(replayed), "put": dict(replayed.put), "named": named, "left": left}


def show_replay(replayed: Replayed, console: Console, *, dry_run: bool) -> None:
    """What was put back, and what was not."""
    for one in replayed.named[:_NAMED]:
        told = f"{one.letter}  {one.reason}  from {one.origin} to {one.to}  key {one.key or '-'}"
        console.print(Text(_printable(told), no_wrap=True))
    if replayed.put.total() > _NAMED:
        console.print(f"and {replayed.put.total() - _NAMED:,} more: --json names the first 1,000")
    for reason, count in replayed.put.most_common():
        console.print(f"{count:>9,}  {escape(reason)}")
    console.print(f"{replayed.put.total():,} {'would be put back' if dry_run else 'put back'}")
    if replayed.in_doubt:
        console.print(f"{replayed.in_doubt:,} more on the way: all or none; `dlq ls --open` tells")
    if replayed.done_before:
        console.print(f"{replayed.done_before:,} put back by an earlier replay")
    if replayed.over_limit:
        console.print(f"{replayed.over_limit:,} put back too often before: see --max-replays")
    for place, why in replayed.left:
        console.print(f"[yellow]left[/] {escape(str(place))}: {escape(why)}", soft_wrap=True)
    if replayed.left_count > len(replayed.left):
        console.print(f"and {replayed.left_count - len(replayed.left):,} more left")
    if replayed.stopped_at_most:
        console.print("Stopped at --max; the same command goes on from here.")


def _line(letter: Letter) -> Text:
    told = letter.told
    origin = f"{told.topic}/{told.partition}/{told.offset}"
    return Text.assemble(
        f"{moment(told.at_ms)}  {tail(str(letter.place), 34):<34}  {tail(origin, 34):<34}  ",
        (f"{_printable(told.reason):<18}", "red"),
        f"  {_printable(told.stage):<8} {letter.replays:>7}  {_state(letter):<5}  {_printable(told.key or '-')}",
        no_wrap=True,
    )


def _line_json(letter: Letter) -> Mapping[str, Any]:
    at = letter.place
    place = {"dlq_topic": at.partition.topic, "dlq_partition": at.partition.partition, "dlq_offset": at.offset}
    state = {"put_back": letter.put_back_ms is not None, "put_back_ms": letter.put_back_ms}
    return {**place, **asdict(letter.told), "replays": letter.replays, **state}


def _state(letter: Letter) -> str:
    return "open" if letter.put_back_ms is None else "back"


def _first_bytes(value: bytes) -> str:
    """The start of what could not be read, as Python would write it."""
    start = repr(value[:_FIRST])[1:]
    return f"{start}, the first {_FIRST} of {len(value):,} bytes; --json has all" if len(value) > _FIRST else start


def _before(replays: int) -> str:
    return f", put back {counted(replays, 'time')} before" if replays else ""


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")


def _printable(text: str) -> str:
    """A producer's text may hold what would move the cursor."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
