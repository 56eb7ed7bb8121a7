"""What is happening, while it happens: on stderr, one live line for each thing on a terminal, plain lines elsewhere."""

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

from streamproc.operate.live import Live

PLAIN_STEPS = 4
"""How often a count is told where no bar can be drawn."""


class LiveProgress(Live):
    """Servers that get ready, and counts that grow."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.fields[name]:<10}"),
            BarColumn(24),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
        )

    def server(self, name: str, text: str) -> None:
        """Show what a server is at. Called by one thread at a time."""
        if self.drawn:
            self.draw(name, total=None, text=escape(text))
        else:
            self.say(f"{name}: {text}")

    def count(self, name: str, text: str, done: int, total: int) -> None:
        """Show how far something is, and what was done last."""
        if self.drawn:
            self.draw(name, total=total, done=done, text=escape(f"{done} of {total}  {text}"))
        elif done == total or done % max(1, total // PLAIN_STEPS) == 0:
            self.say(f"{name}: {done} of {total}")
