"""A report on the terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from streamproc.operate.report.lines import rows
from streamproc.operate.report.report import Report


def show(found: Report, console: Console) -> None:
    """Print it."""
    table = Table("", "this period", "the one before", box=None, padding=(0, 2, 0, 0))
    for row in rows(found):
        table.add_row(*row)
    console.print(table)
    for line in found.anomalies:
        console.print(f"[bold red]![/] {escape(line)}", highlight=False)
    if not found.anomalies:
        console.print("nothing is out of the ordinary")
    for line in found.notes:
        console.print(f"[dim]{escape(line)}[/]", highlight=False)
    if found.unreadable:
        console.print(f"{found.unreadable} records of the output topics are not ours, and were left out")
