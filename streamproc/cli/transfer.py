"""A transfer while it happens: on stderr, a bar on a terminal, plain lines elsewhere."""

from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import TransferSpeedColumn as Speed

from streamproc.operate.live import Live

PLAIN_BYTES = 256 * 1024**2
"""How often it is told where no bar can be drawn."""


class Transfer(Live):
    """Files that come in, by name."""

    def __init__(self) -> None:
        super().__init__(
            TextColumn("{task.fields[name]}"),
            BarColumn(24),
            DownloadColumn(binary_units=True),
            Speed(),
            TimeRemainingColumn(),
        )
        self._said: dict[str, int] = {}

    def tell(self, name: str, done: int, total: int) -> None:
        """Show how many bytes of a file have come."""
        if self.drawn:
            self.draw(name, total=total, done=done)
        elif done == total or done - self._said.get(name, 0) >= PLAIN_BYTES:
            self._said[name] = done
            self.say(f"{name}: {done:,} of {total:,} bytes")
