"""``streamproc status``."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from streamproc.cli.speak import say
from streamproc.settings import load_settings


def status(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array instead of a table.")] = False,
) -> None:
    """Show the servers of this folder: address, process id, memory, version, uptime.

    Example: `streamproc status --json`
    """
    from rich.console import Console

    from streamproc.cli.servers import server_table
    from streamproc.local import stack

    servers = stack.status(load_settings())
    if as_json:
        typer.echo(json.dumps([asdict(server) for server in servers]))
        return
    Console().print(server_table(servers))
    if stopped := {server.name for server in servers if server.state == "stopped"}:
        more = " --with warehouse" if stopped & {recipe.name for recipe in stack.WAREHOUSE} else ""
        say(f"`streamproc up{more}` starts what is stopped.")
