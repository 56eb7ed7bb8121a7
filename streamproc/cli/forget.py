"""``streamproc forget``."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from streamproc.settings import load_settings


def forget(
    what: Annotated[
        str | None, typer.Argument(metavar="[OBJECT|HASH]", help="s3://BUCKET/KEY, or the content_sha256 of a result.")
    ] = None,
    *,
    tenant: Annotated[
        str | None, typer.Option(help="Only what this tenant shares, with dedupe.scope = tenant; alone: all of it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Name the objects and erase nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Erase what Redis and the archive keep of a recording, or of a tenant; then say what that cannot reach.

    The analysis of a recording is kept under its bytes: whoever else sent the same bytes loses it too, and gets it
    computed again. Doing it twice does no harm.

    Example: `streamproc forget s3://recordings/calls/17.wav --dry-run`
    """
    from streamproc.operate.forget import UNREACHED, Wanted, find_content
    from streamproc.operate.forget import forget as erase
    from streamproc.operate.lines import counted

    settings = load_settings()
    wanted = find_content(settings, what, tenant) if what is not None else Wanted(None, tenant)
    found = erase(settings, wanted, dry_run=dry_run)
    if as_json:
        typer.echo(json.dumps({**asdict(found), "dry_run": dry_run, "unreached": dict(UNREACHED)}, ensure_ascii=False))
        return
    of = " and ".join(
        [*([f"content {found.sha256}"] if found.sha256 else []), *([f"tenant {tenant}"] if tenant is not None else [])]
    )
    done = "would be erased" if dry_run else "erased"
    for name in found.objects:
        typer.echo(f"{done}: s3://{settings.storage.bucket}/{name}")
    keys = "" if found.redis_keys is None else f", {counted(found.redis_keys, 'key')} of Redis"
    typer.echo(f"Of {of}: {counted(len(found.objects), 'object')}{keys} {done}.")
    for where in UNREACHED.values():
        typer.echo(f"Not reached: {where}.", err=True)
