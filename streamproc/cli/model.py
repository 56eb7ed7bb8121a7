"""``streamproc model``."""

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from streamproc.cache_root import cache_root
from streamproc.errors import UsageError
from streamproc.settings import Settings, load_settings

Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]
Name = Annotated[str | None, typer.Argument(help="A name or a directory. Default: setting model.name_or_dir.")]

model = typer.Typer(
    name="model",
    help="Published models: fetch one, say what it is, check every byte of it.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@model.command()
def pull(
    *,
    name: Annotated[str, typer.Argument(help="emotion2vec_plus_large, emotion2vec_plus_base, emotion2vec_plus_seed.")],
    hub: Annotated[
        Literal["huggingface", "modelscope"] | None, typer.Option("--from", help="Default: setting model.hub.")
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Another revision than the pinned one: a commit or a tag.")
    ] = None,
    sha256: Annotated[
        list[str] | None, typer.Option(help="FILE=HEX, a pin of your own; for each file that has none.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Fetch a published model into the cache, checked against hashes that are pinned in the program.

    A broken pull goes on where it was; a file that is not the pinned one is not kept; what is there already is checked
    and not fetched. Afterwards nothing asks the hub again. A mirror: STREAMPROC_MODEL__HUB_URL.

    Example: `streamproc model pull emotion2vec_plus_large --from modelscope`
    """
    from streamproc.cli.transfer import Transfer
    from streamproc.emotion.pins import Hub
    from streamproc.emotion.pull import Order
    from streamproc.emotion.pull import pull as fetch

    settings = load_settings()
    address = settings.model.hub_url.get_secret_value() if settings.model.hub_url else None
    order = Order(name, Hub(hub or settings.model.hub), address, revision, dict(map(_pair, sha256 or ())))
    with Transfer() as transfer:
        pulled = fetch(order, _cache(settings), transfer.tell)
    if as_json:
        typer.echo(json.dumps({**asdict(pulled), "directory": str(pulled.directory)}, ensure_ascii=False))
        return
    manifest = pulled.manifest
    if pulled.mended:
        typer.echo(f"The one that was there was not whole: {pulled.mended}. It is now.")
    came = f"{pulled.fetched_bytes:,} bytes fetched" if pulled.fetched_bytes else "It was there already"
    typer.echo(f"{came}; all {len(manifest.files)} files are what is pinned: {pulled.directory}")
    typer.echo(f"Attribution: {manifest.attribution}.\nLicence: {manifest.licence}")
    typer.echo(f"Next: `STREAMPROC_MODEL__NAME_OR_DIR={pulled.directory.name} streamproc worker`.")


@model.command()
def info(
    *,
    name: Name = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Run every precision of this machine beside fp32: speed and error.")
    ] = False,
    bound: Annotated[
        float, typer.Option(min=0, help="The largest difference of a score that you take, with --measure.")
    ] = 5e-3,
    clips: Annotated[
        Path | None, typer.Option(help="A folder of recordings to measure on, 16 kHz, mono. Default: made voices.")
    ] = None,
    turns: Annotated[int, typer.Option(min=1, max=50, help="Turns over all clips, with --measure.")] = 5,
    as_json: Json = False,
) -> None:
    """Say what a model is: labels, shape, files, hash, fingerprint, licence. Loads it, with every check of a load.

    With --measure also what each precision gains and costs here, and the fastest one whose scores differ from fp32's by
    at most --bound and that flips no label which leads by more than 0.05. Nothing is changed: a precision is a setting
    of the whole group. Measure on recordings like yours.

    Example: `streamproc model info demo --measure --clips my/recordings`
    """
    from rich.console import Console

    from streamproc.cli.model_table import comparison_table, comparison_text, model_table
    from streamproc.emotion.info import describe

    settings = load_settings()
    directory = _directory(name, settings)
    found = describe(directory, settings.model)
    if measure:
        from streamproc.bench.machine import look
        from streamproc.bench.show import machine_line
        from streamproc.cli.measuring import PACKAGES, measured

        machine = look(PACKAGES)
        compared = measured(directory, settings.model, clips, turns, bound)
    else:
        compared = None
    if as_json:
        body = asdict(found)
        if compared is not None:
            body["measured"] = asdict(compared) | {
                "recommended": compared.recommended,
                "machine": asdict(machine),
            }
        typer.echo(json.dumps(body, ensure_ascii=False))
        return
    console = Console(soft_wrap=True)
    console.print(model_table(found))
    if compared is not None:
        console.print(comparison_table(compared))
        console.print(comparison_text(compared), highlight=False)
        console.print(machine_line(machine), highlight=False)


@model.command()
def verify(*, name: Name = None, as_json: Json = False) -> None:
    """Hash every file of a pulled model again, whatever any load remembers of it. Exit code 5 if a byte is wrong.

    Example: `streamproc model verify emotion2vec_plus_large`
    """
    from streamproc.emotion.manifest import read_manifest
    from streamproc.emotion.manifest import verify as check

    settings = load_settings()
    directory = _directory(name, settings)
    manifest = read_manifest(directory)
    if manifest is None:
        raise UsageError(
            f"{directory} was not pulled by `streamproc model pull`: there is nothing to compare it with. "
            "`streamproc model info` shows the hash of its weights"
        )
    check(directory, manifest, lambda *_: None)
    if as_json:
        body: dict[str, Any] = {"directory": str(directory), **asdict(manifest)}
        typer.echo(json.dumps(body, ensure_ascii=False))
    else:
        typer.echo(f"All {len(manifest.files)} files are what was pulled: {directory}")


def _directory(name: str | None, settings: Settings) -> Path:
    from streamproc.emotion.directory import find_directory

    return find_directory(name or settings.model.name_or_dir, _cache(settings))


def _cache(settings: Settings) -> Path:
    return cache_root(settings.local.cache_dir, os.environ)


def _pair(text: str) -> tuple[str, str]:
    name, _, digest = text.partition("=")
    return name, digest.lower()
