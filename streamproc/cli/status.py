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
    if any(server.state == "stopped" for server in servers):
        say("`streamproc up` starts what is stopped.")
