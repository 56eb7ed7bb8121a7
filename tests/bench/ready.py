"""How soon a worker is ready: ``python -m tests.bench.ready --rounds 5``.

From the exec of ``streamproc worker`` until its /readyz says 200, its device process and the settling with the group
included, beside a process that does no more than compute a first clip of 2 s, in turn. The model is plus_large with
random weights and an optimizer's state, as ``bench cold`` has it. Servers that do not run are started.
"""

import argparse
import http
import http.client
import os
import time
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

from streamproc.bench.cold import OURS, start_once
from streamproc.bench.machine import look
from streamproc.bench.pipeline import PARTITIONS, PREFIX
from streamproc.bench.show import machine_line
from streamproc.bench.spread import Spread, spread
from streamproc.bench.subject import open_subject
from streamproc.cores import cores
from streamproc.local import stack as servers
from streamproc.local.apart import apart
from streamproc.local.worker import WorkerEndedError, WorkerProcess
from streamproc.settings import Settings, load_settings
from streamproc.wiring import prepare

PATIENCE_S, STEP_S = 300.0, 0.005


def ready_s(settings: Settings) -> float:
    """One start. Raises WorkerEndedError."""
    worker = WorkerProcess(settings, settings.local.state_dir / "bench-worker.log")
    begun = time.monotonic()
    try:
        worker.start()
        while time.monotonic() - begun < PATIENCE_S:
            worker.check()
            if is_ready(worker):
                return time.monotonic() - begun
            time.sleep(STEP_S)
        raise WorkerEndedError(f"the worker was not ready within {PATIENCE_S:g} s. Its log is {worker.log}")
    finally:
        worker.stop()


def is_ready(worker: WorkerProcess) -> bool:
    """What /readyz says; False as well before anybody answers."""
    try:
        connection = http.client.HTTPConnection(urlsplit(worker.url).netloc, timeout=1)
        with closing(connection):
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
    except (WorkerEndedError, OSError, http.client.HTTPException):
        return False


def measure(directory: Path, rounds: int) -> tuple[Spread, Spread, Spread]:
    """Seconds of a worker, of a bare process, and the difference of the two of a round."""
    settings = load_settings()
    with ExitStack() as stack:
        up = servers.up(apart(settings, PREFIX, PARTITIONS), print, prepare)
        stack.callback(servers.down, settings, print, only=up.started)
        model = up.settings.model.model_copy(update={"name_or_dir": str(directory), "device": "cpu"})
        ours = up.settings.model_copy(update={"model": model})
        ready_s(ours)  # fills the page cache, and lets the weights be checked
        pairs = [(ready_s(ours), start_once(OURS, directory, cores()).total_s) for _ in range(rounds)]
    worker, bare = ([pair[one] for pair in pairs] for one in (0, 1))
    return spread(worker), spread(bare), spread([one - other for one, other in pairs])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="plus_large")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    machine = look(("torch",))
    with open_subject(chosen.model, lambda *_: None, training_state=True) as directory:
        rows = measure(directory, chosen.rounds)
    for name, found in zip(
        ("worker, until it is ready", "process, to its first result", "difference"), rows, strict=True
    ):
        print(f"{name:30}{found.middle:6.2f} s ({found.least:.2f} to {found.most:.2f})")  # noqa: T201  # it talks to whoever runs it
    print(machine_line(machine), f"load now {os.getloadavg()[0]:.1f}")  # noqa: T201  # same


if __name__ == "__main__":
    main()
