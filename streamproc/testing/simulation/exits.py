"""How a process may end."""

from streamproc.errors import FatalError
from streamproc.testing.simulation.process import WorkerProcess
from streamproc.testing.simulation.violation import Violation


def check_process(process: WorkerProcess, *, struck: bool) -> None:
    """Check how a process ended: by a decision of its own, and with nothing left in its hands."""
    error = process.error or process.failure
    if error is None:
        leased = process.arena.slots - process.arena.free
        if leased != process.device.holds:  # what the device has not answered may be of records that were lost
            raise Violation(
                "G6", f"{process.name} ended with {leased} slots leased, {process.device.holds} on the device"
            )
    elif not isinstance(error, FatalError) or "unforeseen" in str(error):
        raise Violation("G1", f"{process.name} crashed: {error!r}") from error
    elif not struck:
        raise Violation("G7", f"{process.name} ended without any fault: {error!r}") from error
