"""What went wrong with a local server, and what to do about it."""

from pathlib import Path

from streamproc.errors import StreamprocError

TAIL_LINES = 15
TAIL_BYTES = 8_192


def tail(log: Path) -> str:
    """The last lines of a log; empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL_BYTES))
            text = file.read(TAIL_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-TAIL_LINES:])


class LocalError(StreamprocError):
    """Raised when a local server cannot be built, started or stopped.

    ``what`` failed, ``advice`` says what to do, ``log`` names the whole log and ``log_tail`` is its end.
    """

    def __init__(self, what: str, advice: str, log: Path | None = None) -> None:
        self.what = what
        self.advice = advice
        self.log = log
        self.log_tail = tail(log) if log else ""
        end = f"\nThe end of {log}:\n{self.log_tail}" if self.log_tail else ""
        super().__init__(f"{what}. {advice}{end}")


class ProgramMissingError(LocalError):
    """Raised when a server's program can neither be found nor fetched nor built here."""


class StoppedError(LocalError):
    """Raised in a piece of work that was told to stop because another piece failed or the user asked."""

    def __init__(self) -> None:
        super().__init__("stopped", "Run `streamproc up` again to go on.")
