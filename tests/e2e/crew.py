"""Several workers of one group, that come and go."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from signal import SIGTERM

from tests.caught import await_caught
from tests.e2e.workers import PATIENCE_S, Worker, until


class Crew:
    """Workers that run, and those that left. Each has a folder and a log of its own."""

    def __init__(self, variables: Mapping[str, str], folder: Path) -> None:
        self._variables = variables
        self._folder = folder
        self.there: list[Worker] = []
        self.left: list[Worker] = []

    def join(self) -> Worker:
        """Start a fresh worker."""
        folder = self._folder / f"worker-{len(self.there) + len(self.left)}"
        folder.mkdir()
        worker = Worker(self._variables, folder)
        worker.start()
        self.there.append(worker)
        return worker

    def leave(self, worker: Worker, *, kill: bool) -> frozenset[str]:
        """SIGKILL or SIGTERM it, without waiting for its end; the partitions it held."""
        held = holds(worker)
        self.there.remove(worker)
        self.left.append(worker)
        if kill:
            worker.process.kill()
        else:
            worker.process.terminate()
        return held

    def settle(self) -> None:
        """Wait until each holds partitions."""
        for worker in self.there:
            self.await_share_of(worker)

    def stop(self) -> None:
        """SIGTERM them all; each ends with 0."""
        for worker in self.there:
            # Who has just joined may be in the first milliseconds of its interpreter, where nobody can catch SIGTERM:
            # that would be the end of Python (exit code -15), not the worker's.
            await_caught(worker.process, SIGTERM)
            worker.process.terminate()
        for worker in self.there:
            assert worker.process.wait(PATIENCE_S) == 0, worker.tail()

    def held(self) -> frozenset[str]:
        """What those that are there hold together."""
        return frozenset[str]().union(*map(holds, self.there))

    def await_share_of(self, worker: Worker) -> None:
        """Wait until a newcomer holds partitions."""
        until(lambda: bool(holds(worker)), PATIENCE_S, worker.tail, self.check)

    def await_heirs_of(self, partitions: frozenset[str]) -> None:
        """Wait until those that are there hold what somebody left behind."""
        until(lambda: partitions <= self.held(), PATIENCE_S, lambda: f"nobody holds {partitions}", self.check)

    def check(self) -> None:
        """Nobody ends by itself."""
        for worker in self.there:
            code = worker.process.poll()
            assert code is None, f"exit code {code}:\n{worker.tail()}"

    def longest_micro_batch_s(self) -> float:
        """From being taken to being committed, where no rebalance and no abort came in between."""
        return max(map(longest_undisturbed_s, (*self.there, *self.left)))

    def most_aborts(self) -> int:
        """Of one micro-batch."""
        lines = [line for worker in (*self.there, *self.left) for line in worker.lines()]
        return max(int(line["aborts"]) for line in lines if "aborts" in line)

    def close(self) -> None:
        """Leave nothing running."""
        for worker in (*self.there, *self.left):
            if worker.process.poll() is None:
                worker.process.kill()
            worker.process.wait()


def holds(worker: Worker) -> frozenset[str]:
    """The partitions that a worker says are its own; none before it listens."""
    try:
        return frozenset(json.loads(worker.ask("/status"))["partitions"])
    except OSError:
        return frozenset()


def longest_undisturbed_s(worker: Worker) -> float:
    lines = [(datetime.fromisoformat(line["at"]).timestamp(), line) for line in worker.lines()]
    disturbed = [at for at, line in lines if line["event"].startswith(("partitions", "transaction aborted"))]
    spans = [(at - float(line["seconds"]), at) for at, line in lines if "micro_batch" in line]
    return max((end - begin for begin, end in spans if not any(begin <= at <= end for at in disturbed)), default=0.0)
