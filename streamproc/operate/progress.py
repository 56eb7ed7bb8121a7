"""What happens to local servers, while it happens."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class ServerProgress:
    """One line for each server on a terminal, one line for each event elsewhere; all on stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[server]:<10}"),
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

    def report(self, server: str, text: str) -> None:
        """Show what a server is at. Called by one thread at a time."""
        if not self._console.is_terminal:
            self._console.print(f"{server}: {text}", markup=False, highlight=False, soft_wrap=True)
            return
        if server not in self._tasks:
            self._tasks[server] = self._progress.add_task("", server=server, total=None)
        self._progress.update(self._tasks[server], description=escape(text))
