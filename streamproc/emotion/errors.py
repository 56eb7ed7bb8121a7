"""What can be wrong with a model directory, a waveform or a pull. Free of torch, for whoever catches them."""

from pathlib import Path

from streamproc.errors import ExitCode, Fatal, NoRestartError, StreamprocError, UsageError


class CheckpointError(NoRestartError):
    """Raised when a model directory is not one that gives true numbers; it is never filled with random weights."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: {problem}; {remedy}", Fatal.REFUSED)
        self.path = path
        self.problem = problem
        self.remedy = remedy


class WaveformError(UsageError):
    """Raised when a waveform handed to ``analyze`` cannot be analysed; ``index`` is its place in the list."""

    def __init__(self, index: int, problem: str) -> None:
        super().__init__(f"waveform {index}: {problem}; give 1-D float32 numpy arrays, 16 kHz, mono")
        self.index = index
        self.problem = problem


class PullError(StreamprocError):
    """Raised when a file of a model cannot be pulled; nothing that was not checked is left in place."""

    def __init__(self, file: str, problem: str, remedy: str) -> None:
        super().__init__(f"{file}: {problem}; {remedy}")
        self.file = file
        self.problem = problem
        self.remedy = remedy


class HubAwayError(PullError):
    """Raised when the hub does not answer, or breaks off again and again. What came is kept for the next try."""

    exit_code = ExitCode.DEPENDENCY_DOWN


class NoSpaceError(PullError):
    """Raised when the disk is too small, or full: ``needed`` and ``free`` bytes."""

    def __init__(self, file: str, folder: Path, needed: int, free: int) -> None:
        problem = f"{needed:,} bytes are needed in {folder}, {free:,} are free"
        super().__init__(file, problem, "make room, or set STREAMPROC_CACHE to a folder on another disk")
        self.needed = needed
        self.free = free


class WrongBytesError(PullError):
    """Raised when a file that came is not the pinned one. It is deleted."""

    def __init__(self, file: str, expected: str, found: str) -> None:
        problem = f"expected {expected}, found {found}"
        remedy = "nothing of it was kept: the hub or a mirror has another file, try the other hub (--from)"
        super().__init__(file, problem, remedy)
        self.expected = expected
        self.found = found
