"""``streamproc down``."""

from typing import Annotated

import typer

from streamproc.settings import load_settings


def down(
    *,
    wipe: Annotated[bool, typer.Option("--wipe", help="Remove their data too: topics, recordings, keys.")] = False,
) -> None:
    """Stop the servers that `up` started.

    Their data stays, so that the next `up` goes on where this one ended, unless `--wipe` is given. Servers of your
    own are left alone.

    Example: `streamproc down`
    """
    from streamproc.local import stack
    from streamproc.operate.progress import LiveProgress

    settings = load_settings()
    with LiveProgress() as progress:
        stopped = stack.down(settings, progress.server, wipe=wipe)
    typer.echo(f"Stopped: {', '.join(stopped) or 'nothing, no server ran'}.")
    if wipe:
        typer.echo("Their data is removed.")
