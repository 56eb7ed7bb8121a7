"""What is happening, while it happens: on stderr, one live line for each thing on a terminal, plain lines elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

PLAIN_STEPS = 4
"""How often a count is told where no bar can be drawn."""


class LiveProgress:
    """Servers that get ready, and counts that grow."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓[/]"),
            TextColumn("{task.fields[name]:<10}"),
            BarColumn(24),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=self._console,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def server(self, name: str, text: str) -> None:
        """Show what a server is at. Called by one thread at a time."""
        if self._console.is_terminal:
            self._progress.update(self._task(name, None), description=escape(text))
        else:
            self._say(f"{name}: {text}")

    def count(self, name: str, text: str, done: int, total: int) -> None:
        """Show how far something is, and what was done last."""
        if self._console.is_terminal:
            self._progress.update(
                self._task(name, total), completed=done, description=escape(f"{done} of {total}  {text}")
            )
        elif done == total or done % max(1, total // PLAIN_STEPS) == 0:
            self._say(f"{name}: {done} of {total}")

    def _task(self, name: str, total: int | None) -> TaskID:
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task("", name=name, total=total)
        return self._tasks[name]

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
