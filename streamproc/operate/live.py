"""What is shown while it happens, on stderr: live on a terminal, where it can be drawn over, plain lines elsewhere."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, ProgressColumn, TaskID


class Live:
    """Tasks by name, drawn from the beginning to the end of a ``with`` block."""

    def __init__(self, *columns: ProgressColumn, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._progress = Progress(*columns, console=self._console)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if self.drawn:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.drawn:
            self._progress.stop()

    @property
    def drawn(self) -> bool:
        """Whether this is a terminal."""
        return self._console.is_terminal

    def draw(self, name: str, *, total: int | None, done: int | None = None, text: str = "") -> None:
        """Show how far a task is; the first time, below the others."""
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task("", name=name, total=total)
        self._progress.update(self._tasks[name], completed=done, description=text)

    def say(self, line: str) -> None:
        """Print a line as it is."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)
