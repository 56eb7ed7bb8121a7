"""``streamproc dlq``."""

import json
import time
from dataclasses import replace
from difflib import get_close_matches
from enum import StrEnum
from typing import Annotated, Any

import typer

from streamproc.errors import UsageError
from streamproc.operate.foreign import Foreign
from streamproc.settings import load_settings

Since = Annotated[str | None, typer.Option(help="Given up since 15m, 2h, 7d ago or a date. Default: all that is kept.")]
Reason = Annotated[str | None, typer.Option(help="Only of this reason, as in object_missing.")]
Stage = Annotated[str | None, typer.Option(help="Only of this stage, as in fetch.")]
Key = Annotated[str | None, typer.Option(help="Only with this key.")]
Origin = Annotated[str | None, typer.Option(help="Only what began at this TOPIC/PARTITION/OFFSET.")]
Open = Annotated[bool, typer.Option("--open", help="Only what was not put back.")]
Json = Annotated[bool, typer.Option("--json", help="JSON instead of tables.")]

dlq = typer.Typer(
    name="dlq",
    help="Dead letters: which there are, what each says, what to do, and putting them back exactly once.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@dlq.command("ls")
def ls(  # one parameter for each way to choose
    *,
    since: Since = None,
    reason: Reason = None,
    stage: Stage = None,
    key: Key = None,
    origin: Origin = None,
    only_open: Open = False,
    as_json: Json = False,
) -> None:
    """List dead letters by time, the newest last; with --json one object a line.

    `state` is `open`, or `back` for what `dlq replay` put back. `replays` is how often a record had been put back
    before it came here again.

    Example: `streamproc dlq ls --since 2h --reason object_missing`
    """
    from streamproc.cli.dlq_show import show_letters
    from streamproc.operate.dlq.letters import open_letters

    settings = load_settings()
    choice = replace(_choice(since, reason, stage, key, origin), open=only_open)
    with open_letters(settings) as letters:
        if not show_letters(letters.in_order(choice), as_json=as_json) and not as_json:
            typer.echo(f"No dead letter of these in {settings.topics.dead_letters}.", err=True)
        _tell(letters.foreign, undecided=letters.undecided)


@dlq.command()
def stats(
    *,
    since: Since = None,
    reason: Reason = None,
    stage: Stage = None,
    as_json: Json = False,
) -> None:
    """Count dead letters by reason and stage, and those still open, with the first and last time, and what to do.

    Example: `streamproc dlq stats --since 1d`
    """
    from streamproc.cli.dlq_show import show_stats, stats_json
    from streamproc.cli.rows import PipeConsole, until_unread
    from streamproc.operate.dlq.letters import open_letters
    from streamproc.operate.dlq.stats import count

    with open_letters(load_settings()) as letters:
        counted = count(letters.chosen(_choice(since, reason, stage, None, None)))
    with until_unread():
        if as_json:
            typer.echo(json.dumps(stats_json(counted, letters.foreign.count, undecided=letters.undecided)))
        else:
            show_stats(counted, PipeConsole())
    _tell(letters.foreign, undecided=letters.undecided)


@dlq.command()
def show(
    place: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="Of the letter, or of its origin.")],
    *,
    as_json: Json = False,
) -> None:
    """Show one dead letter: its event, its headers, why it ended, what to do, and whether it was put back.

    Example: `streamproc dlq show audio.recordings/3/1742`
    """
    from streamproc.cli.dlq_show import letter_json, show_letter
    from streamproc.cli.rows import PipeConsole, until_unread
    from streamproc.operate.dlq.letters import open_letters
    from streamproc.operate.place import parse_place

    with open_letters(load_settings()) as letters:
        letter = letters.one(parse_place(place))
    with until_unread():
        if as_json:
            typer.echo(json.dumps(letter_json(letter), ensure_ascii=False))
        else:
            show_letter(letter, PipeConsole(soft_wrap=True))
    _tell(letters.foreign, undecided=letters.undecided)


@dlq.command()
def replay(  # noqa: PLR0913  # one parameter for each way to choose
    *,
    since: Since = None,
    reason: Reason = None,
    stage: Stage = None,
    key: Key = None,
    origin: Origin = None,
    most: Annotated[int | None, typer.Option("--max", min=1, help="Stop after so many records.")] = None,
    rate: Annotated[float | None, typer.Option(min=0.1, help="Records a second. Default: as fast as it goes.")] = None,
    max_replays: Annotated[
        int, typer.Option(min=1, help="Leave alone what was put back so often before: it would only come here again.")
    ] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Write nothing, say what would be put back.")] = False,
    as_json: Json = False,
) -> None:
    """Put the originals of dead letters back on the input topic, exactly once.

    Heal the cause first. Key, value and headers are those of the original, byte for byte, with two headers more:
    sp-replays, which counts, and sp-replay-of, the place of the dead letter. Originals and notes that they went back
    are one transaction: what was put back is not put back again, also after a kill. The same command goes on where it
    ended; another choice finds what it passed over. An event keeps its event_id, so its result has the same result_id:
    readers that upsert see one.

    Example: `streamproc dlq replay --reason object_missing --since 2h --rate 50 --dry-run`
    """
    from streamproc.cli.dlq_show import replay_json, show_replay
    from streamproc.cli.rows import PipeConsole, until_unread
    from streamproc.operate.dlq.replay import Order
    from streamproc.operate.dlq.replay import replay as run_replay
    from streamproc.operate.progress import LiveProgress

    settings = load_settings()
    order = Order(_choice(since, reason, stage, key, origin), most, rate, max_replays, dry_run)
    with LiveProgress() as progress:
        replayed = run_replay(settings, order, progress.count)
    with until_unread():
        if as_json:
            typer.echo(json.dumps(replay_json(replayed, dry_run=dry_run), ensure_ascii=False))
        else:
            show_replay(replayed, PipeConsole(soft_wrap=True), dry_run=dry_run)
    _tell_undecided(undecided=replayed.undecided)
    if replayed.interrupted:
        raise KeyboardInterrupt


def _tell(foreign: Foreign, *, undecided: bool) -> None:
    if foreign.count:
        typer.echo(f"warning: {foreign.line}", err=True)
    _tell_undecided(undecided=undecided)


def _tell_undecided(*, undecided: bool) -> None:
    if undecided:
        typer.echo(
            "warning: a transaction of a replay is open, so more may be on its way back than is told: ask again",
            err=True,
        )


def _known(option: str, given: str | None, names: type[StrEnum]) -> None:
    """Raise UsageError for a name that no dead letter can have."""
    if given is None or given in {*names}:
        return
    near = get_close_matches(given, [*names], n=3)
    there = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names)}"
    raise UsageError(f"{option} {given}: there is none of that name; {there}")


def _choice(since: str | None, reason: str | None, stage: str | None, key: str | None, origin: str | None) -> Any:
    from streamproc import errors
    from streamproc.operate.dlq.choice import Choice
    from streamproc.operate.place import parse_place
    from streamproc.operate.since import parse_since

    _known("--reason", reason, errors.Reason)
    _known("--stage", stage, errors.Stage)
    since_ms = 0 if since is None else parse_since(since, time.time_ns() // 1_000_000)
    return Choice(since_ms, reason, stage, key, None if origin is None else parse_place(origin))
