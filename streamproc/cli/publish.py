"""``streamproc publish``."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from streamproc.cli.speak import say
from streamproc.errors import UsageError
from streamproc.records.recording import Channels, RecordingEvent
from streamproc.settings import load_settings


def publish(  # noqa: PLR0913  # one parameter for each option
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="Recordings: wav, flac, mp3, ogg, opus, m4a.")],
    *,
    call_id: Annotated[
        str | None, typer.Option(help="The call they belong to; recordings of one call stay in order.")
    ] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose recordings they are.")] = None,
    agent: Annotated[str | None, typer.Option(help="Who spoke for us; analytics keeps windows of each.")] = None,
    queue: Annotated[str | None, typer.Option(help="Where the call came in; analytics keeps windows of each.")] = None,
    recorded_at: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="When they began, as 2026-01-31T09:15:00Z; mtime: when each file was last written. Default: now.",
        ),
    ] = None,
    language: Annotated[str | None, typer.Option(help="Language that is spoken, as in en or pt-BR.")] = None,
    channels: Annotated[Channels, typer.Option(help="'mix' analyses their mean, 'split' each on its own.")] = "mix",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Store recordings in the bucket and announce each with one event.

    Prints the event id of each that Kafka has, also when a later one fails. Every file is looked at before the first
    is stored: one that is missing, empty, too large or no file at all stops the whole command with nothing sent.
    The name of the file goes along as the attribute file_name, by which `results` shows it.

    With --recorded-at the same files, published the same way again, have the same event ids, which readers count once.
    Without --call-id an event's key is its id: repeats of it meet in one partition, and there is no other order.

    Example: `streamproc publish --call-id c-17 --language en customer.wav agent.wav`

    Example: `streamproc publish --agent anna --queue billing --recorded-at mtime calls/*.wav`
    """
    from streamproc.cli.moments import recorded_at as moments
    from streamproc.cli.recordings import check_files
    from streamproc.client import RecordingClient
    from streamproc.client.recordings import About
    from streamproc.kafka.publisher import DeliveryError
    from streamproc.operate.names import FILE_NAME

    settings = load_settings()
    check_files(files, settings.audio.max_object_bytes)
    latest_ms = time.time_ns() // 1_000_000 + settings.analytics.ahead_s * 1000
    times = moments(recorded_at, files, latest_ms) if recorded_at is not None else None
    about: About = {"channels": channels, "outputs": frozenset({"scores", "segments"})}
    if call_id is not None:
        about["call_id"] = _named("--call-id", call_id)
    if tenant is not None:
        about["tenant"] = _named("--tenant", tenant)
    if agent is not None:
        about["agent"] = _named("--agent", agent)
    if queue is not None:
        about["queue"] = _named("--queue", queue)
    if language is not None:
        about["language"] = _named("--language", language)
    events: list[tuple[Path, RecordingEvent]] = []
    with RecordingClient(settings) as client:
        try:
            for number, file in enumerate(files):
                about["attributes"] = {FILE_NAME: _text(Path(file.name))}
                if times is not None:
                    about["recorded_at"] = times[number]
                events.append((file, client.publish(file, **about)))
        finally:
            # Told only after the flush: it is what makes sure that Kafka has them.
            try:
                client.flush()
            except DeliveryError as error:
                _tell([(file, event) for file, event in events if event.event_id not in error.names], as_json=as_json)
                raise
            _tell(events, as_json=as_json)
    if not as_json:
        say("Announced. `streamproc results --since 1m --follow` shows what a worker makes of it.", err=True)


def _named(option: str, text: str) -> str:
    """Raise UsageError for a name of blanks: nobody could find what has it, in a list or by asking."""
    if not text.strip():
        raise UsageError(f"{option} is blank: leave it out, or give it a name")
    return text


def _tell(events: Sequence[tuple[Path, RecordingEvent]], *, as_json: bool) -> None:
    for file, event in events:
        if as_json:
            told = {
                "file": _text(file),
                "event_id": event.event_id,
                "bucket": event.bucket,
                "object_key": event.object_key,
            }
            typer.echo(json.dumps(told, ensure_ascii=False))
        else:
            typer.echo(f"{event.event_id}  {_text(file)}")


def _text(path: Path) -> str:
    """A path as text, also where its bytes are none."""
    return str(path).encode(errors="replace").decode()
