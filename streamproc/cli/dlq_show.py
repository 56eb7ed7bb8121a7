"""How dead letters are shown."""

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from streamproc.cli.rows import PipeConsole
from streamproc.errors import ExitCode
from streamproc.operate.dlq.letter import Letter
from streamproc.operate.dlq.replay import Replayed
from streamproc.operate.dlq.stats import Count
from streamproc.operate.lines import moment, tail

HEADER = (
    f"{'given up (UTC)':<19}  {'dead letter':<34}  {'origin':<34}  {'reason':<18}  {'stage':<8} {'replays':>7}  key"
)

_TO_THE_MINUTE = 16
_COLUMNS: Mapping[str, Literal["left", "right"]] = {
    "reason": "left",
    "stage": "left",
    "letters": "right",
    "again": "right",
    "first (UTC)": "left",
    "last (UTC)": "left",
}


def show_letters(letters: Iterable[Letter], *, as_json: bool) -> int:
    """Print each as it comes; how many there were. Ends the command well when nobody reads on, as ``head``."""
    console = PipeConsole(soft_wrap=True)
    shown = 0
    try:
        for shown, letter in enumerate(letters, 1):  # the last number is the answer
            if as_json:
                typer.echo(json.dumps(_line_json(letter), ensure_ascii=False))
                continue
            if shown == 1:
                console.print(Text(HEADER, style="bold", no_wrap=True))
            console.print(_line(letter))
    except BrokenPipeError:
        # What is left in the buffer has to go somewhere when Python ends, or it would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.DONE) from None
    return shown


def letter_json(letter: Letter) -> Mapping[str, Any]:
    """Everything of one letter."""
    event = letter.event
    told = None if event is None else {**asdict(event), "outputs": sorted(event.outputs)}
    return {
        **_line_json(letter),
        "advice": letter.told.advice,
        "uri": letter.uri,
        "headers": [[name, _text(value)] for name, value in letter.headers],
        "event": told,
    }


def show_letter(letter: Letter, console: Console, *, put_back: bool) -> None:
    """What happened, to what, and what to do."""
    told = letter.told
    rows: list[tuple[str, object]] = [
        ("dead letter", letter.place),
        ("origin", f"{told.topic}/{told.partition}/{told.offset}"),
        ("key", told.key),
        ("first seen", moment(told.first_seen_ms)),
        ("given up", f"{moment(told.at_ms)} after {told.attempts} attempts, put back {letter.replays} times before"),
        ("reason", told.reason),
        ("stage", told.stage),
        ("message", told.message),
        ("to do", told.advice),
        ("put back", "yes: `dlq replay` passes over it" if put_back else "no"),
    ]
    if letter.uri is not None:
        rows.append(("original", letter.uri))
    if letter.event is not None:
        told_event = {**asdict(letter.event), "outputs": ", ".join(sorted(letter.event.outputs))}
        rows += [(f"event.{name}", value) for name, value in told_event.items() if value]
    rows += [(f"header {name}", _text(value)) for name, value in letter.headers]
    table = Table("name", box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column("value", overflow="fold")  # a place or an id that is cut is none
    for name, value in rows:
        table.add_row(f"[dim]{escape(name)}[/]", escape(_printable(str(value))))
    console.print(table)


def stats_json(counts: Sequence[Count]) -> Mapping[str, Any]:
    """The table for programs."""
    return {"letters": sum(one.letters for one in counts), "by_reason": [asdict(one) for one in counts]}


def show_stats(counts: Sequence[Count], console: Console) -> None:
    """One row for each reason and stage, then what to do about each reason."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name, justify in _COLUMNS.items():
        table.add_column(name, justify=justify, no_wrap=True)
    for one in counts:
        numbers = (f"{one.letters:,}", f"{one.replayed:,}")
        times = (moment(at_ms)[:_TO_THE_MINUTE] for at_ms in (one.first_ms, one.last_ms))
        table.add_row(escape(one.reason), escape(one.stage), *numbers, *times)
    console.print(table)
    for reason, advice in {one.reason: one.advice for one in counts}.items():
        console.print(f"[red]{escape(reason)}[/]: {escape(advice)}", soft_wrap=True)
    console.print(f"{sum(one.letters for one in counts):,} dead letters")


def replay_json(replayed: Replayed, *, dry_run: bool) -> Mapping[str, Any]:
    """The summary for programs."""
    left = [{"place": str(place), "why": why} for place, why in replayed.left]
    return {"dry_run": dry_run, **asdict(replayed), "put": dict(replayed.put), "left": left}


def show_replay(replayed: Replayed, console: Console, *, dry_run: bool) -> None:
    """What was put back, and what was not."""
    for reason, count in replayed.put.most_common():
        console.print(f"{count:>9,}  {escape(reason)}")
    console.print(f"{replayed.put.total():,} {'would be put back' if dry_run else 'put back'}")
    if replayed.done_before:
        console.print(f"{replayed.done_before:,} were put back by an earlier replay")
    if replayed.over_limit:
        console.print(f"{replayed.over_limit:,} were put back too often before: see --max-replays")
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
        f"  {_printable(told.stage):<8} {letter.replays:>7}  {_printable(told.key or '-')}",
        no_wrap=True,
    )


def _line_json(letter: Letter) -> Mapping[str, Any]:
    at = letter.place
    place = {"dlq_topic": at.partition.topic, "dlq_partition": at.partition.partition, "dlq_offset": at.offset}
    return {**place, **asdict(letter.told), "replays": letter.replays}


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")


def _printable(text: str) -> str:
    """A producer's text may hold what would move the cursor."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)
