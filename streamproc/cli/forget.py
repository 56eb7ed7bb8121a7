"""``streamproc forget``."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from streamproc.errors import UsageError
from streamproc.settings import Settings, load_settings


def forget(
    what: Annotated[
        str | None, typer.Argument(metavar="[OBJECT|HASH]", help="s3://BUCKET/KEY, or the content_sha256 of a result.")
    ] = None,
    *,
    tenant: Annotated[
        str | None, typer.Option(help="Only what this tenant shares, with dedupe.scope = tenant; alone: all of it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name the objects and erase nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before all of a tenant is erased.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Erase what Redis and the archive keep of a recording, or of a tenant; then say what that cannot reach.

    The analysis of a recording is kept under its bytes: whoever else sent the same bytes loses it too, and gets it
    computed again. Of an object every version counts that its bucket keeps. Doing it twice does no harm. All of a
    tenant is erased when somebody says yes to it, or `--yes`.

    Example: `streamproc forget s3://recordings/calls/17.wav --dry-run`
    """
    from streamproc.operate.forget import Wanted, find_wanted
    from streamproc.operate.forget import forget as erase
    from streamproc.operate.lines import counted

    settings = load_settings()
    wanted = find_wanted(settings, what, tenant) if what is not None else Wanted((), tenant)
    if what is None and tenant and not (dry_run or yes):
        _ask(settings, tenant)
    found = erase(settings, wanted, dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps({**asdict(found), "dry_run": dry_run}, ensure_ascii=False))
        return
    of = " and ".join(
        [*(f"content {sha256}" for sha256 in found.contents), *([f"tenant {tenant}"] if tenant is not None else [])]
    )
    done = "would be erased" if dry_run else "erased"
    for name in found.objects:
        typer.echo(f"{done}: s3://{settings.storage.bucket}/{name}")
    keys = "" if found.redis_keys is None else f", {counted(found.redis_keys, 'key')} of Redis"
    typer.echo(f"Of {of}: {counted(len(found.objects), 'object')}{keys} {done}.")
    for where in found.unreached.values():
        typer.echo(f"Not reached: {where}.", err=True)


def _ask(settings: Settings, tenant: str) -> None:
    """A forgotten argument is all that lies between one object and all of them. Raises UsageError without a yes."""
    from streamproc.operate.forget import Wanted
    from streamproc.operate.forget import forget as erase

    if not sys.stdin.isatty():
        raise UsageError(f"that is all of tenant {tenant}: say --yes as well, or look at it first with --dry-run")
    found = erase(settings, Wanted((), tenant), dry_run=True)
    shared = f"{len(found.objects):,} objects and {found.redis_keys or 0:,} keys of Redis"
    if not typer.confirm(f"Erase all of tenant {tenant}, {shared}?", err=True):
        raise UsageError("nothing was erased")
