"""``streamproc up``."""

from typing import Annotated, Literal

import typer

from streamproc.cli.speak import say
from streamproc.settings import LOCAL_ENV, Settings, load_settings

With = Annotated[
    Literal["warehouse"] | None,
    typer.Option("--with", help="PostgreSQL, and Kafka Connect that brings results to it."),
]


def up(*, more: With = None) -> None:
    """Start real servers on this computer: Kafka, schema registry, Redis, MinIO.

    Plain processes on free ports of 127.0.0.1, without Docker or root; the first time their programs are downloaded and
    built, which takes some minutes. What runs already is kept. Topics, schemas
    and bucket are made, and the addresses written to `.streamproc/local.env`, where every other command finds them.
    A server whose address you set yourself (say STREAMPROC_KAFKA__BOOTSTRAP_SERVERS) is used and not started.
    With `--with warehouse` PostgreSQL and Kafka Connect too, and the connectors that bring results, segments and dead
    letters to its tables.

    Example: `streamproc up && streamproc status`
    """
    from streamproc.local import stack
    from streamproc.operate.progress import LiveProgress
    from streamproc.operate.warehouse.apply import apply_whole
    from streamproc.wiring import prepare

    settings = load_settings()

    def prepare_all(servers: Settings) -> None:
        prepare(servers)
        if more:
            apply_whole(servers)

    with LiveProgress() as progress:
        recipes = (*stack.RECIPES, *(stack.WAREHOUSE if more else ()))
        ready = stack.up(settings, progress.server, prepare_all, recipes)
    started = ", ".join(sorted(ready.started)) or "nothing, all ran already"
    typer.echo(f"Ready. Started: {started}. Addresses: {settings.local.state_dir / LOCAL_ENV}")
    then = "`streamproc publish my.wav`, `streamproc results`" + (", `streamproc warehouse ask`" if more else "")
    say(f"Next: `streamproc worker` in another terminal, then {then}.")
    say("`streamproc down` stops the servers.")
