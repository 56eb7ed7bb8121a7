"""What can be wrong with a model directory or with a waveform. Free of torch, for whoever catches them."""

from pathlib import Path

from streamproc.errors import Fatal, NoRestartError, UsageError


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
