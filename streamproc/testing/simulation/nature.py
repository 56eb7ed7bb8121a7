"""What happens by itself after a while: fibers of no process."""

from collections.abc import Callable

from streamproc.testing.fibers import Fibers, Process


class Nature:
    """Lets things happen later."""

    def __init__(self, fibers: Fibers) -> None:
        self._fibers = fibers
        self._process = Process("world")
        self._busy = 0

    @property
    def calm(self) -> bool:
        """Whether nothing is to happen any more."""
        return not self._busy

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something after so many virtual seconds."""
        self._busy += 1

        def run() -> None:
            self._fibers.sleep(seconds)
            act()
            self._busy -= 1

        self._fibers.start(self._process, "nature", run)

    def close(self) -> None:
        """Let nothing happen any more."""
        self._process.kill()
