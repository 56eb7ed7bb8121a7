"""A transfer while it happens: on stderr, a bar on a terminal, plain lines elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import TransferSpeedColumn as Speed

PLAIN_BYTES = 256 * 1024**2
"""How often it is told where no bar can be drawn."""


class Transfer:
    """Files that come in, by name."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(24), DownloadColumn(binary_units=True), Speed())
        self._progress = Progress(*columns, TimeRemainingColumn(), console=self._console)
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, int] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._progress.stop()

    def tell(self, name: str, done: int, total: int) -> None:
        """Show how many bytes of a file have come."""
        if self._console.is_terminal:
            if name not in self._tasks:
                self._tasks[name] = self._progress.add_task(name, total=total)
            self._progress.update(self._tasks[name], completed=done)
        elif done == total or done - self._said.get(name, 0) >= PLAIN_BYTES:
            self._said[name] = done
            self._console.print(f"{name}: {done:,} of {total:,} bytes", markup=False, highlight=False, soft_wrap=True)
