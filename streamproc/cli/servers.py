"""How local servers are shown."""

from collections.abc import Sequence

from rich.table import Table

from streamproc.local.status import ServerStatus

STATES = {
    "running": "[green]running[/]",
    "not_answering": "[red]not answering[/]",
    "stopped": "[dim]stopped[/]",
    "own": "[cyan]yours[/]",
}


def server_table(servers: Sequence[ServerStatus]) -> Table:
    """One row for each server."""
    table = Table("server", "state", "address", "version", box=None, padding=(0, 2, 0, 0))
    for name in ("pid", "memory", "uptime"):
        table.add_column(name, justify="right")
    table.columns[2].no_wrap = True  # an address that is cut is none
    for server in servers:
        table.add_row(
            server.name,
            STATES[server.state],
            server.address or "",
            server.version or "",
            "" if server.pid is None else str(server.pid),
            "" if server.memory_bytes is None else f"{server.memory_bytes / 1024**2:.0f} MiB",
            "" if server.uptime_s is None else span(server.uptime_s),
        )
    return table


def span(seconds: float) -> str:
    """A length of time in its two largest units."""
    left = int(seconds)
    parts: list[str] = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
