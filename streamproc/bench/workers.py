"""What exactly-once costs in a whole worker: the same events under both deliveries, one worker after the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from streamproc.bench.events import heard_again
from streamproc.bench.pipeline import WARM_UP, measure
from streamproc.bench.spread import Spread, ratios
from streamproc.bench.stretch import Figures
from streamproc.local.worker import WorkerProcess
from streamproc.records.analysis import Tier
from streamproc.settings import Settings
from streamproc.telemetry.told import Told

DELIVERIES = ("exactly_once", "at_least_once")


@dataclass(frozen=True, slots=True)
class WorkersFigures:
    """Both deliveries, round by round."""

    events: int
    exactly_once: Sequence[Figures]
    at_least_once: Sequence[Figures]

    @property
    def ratio(self) -> Spread:
        """Exactly-once over at-least-once in events/s, of the two workers of a round."""
        return ratios(
            [figures.events_per_s for figures in self.exactly_once],
            [figures.events_per_s for figures in self.at_least_once],
        )

    @property
    def cpu_ratio(self) -> Spread:
        """The same in processor time of the main process for each event."""
        return ratios(
            [figures.cpu_ms_per_event for figures in self.exactly_once],
            [figures.cpu_ms_per_event for figures in self.at_least_once],
        )


def measure_workers(settings: Settings, events: int, rounds: int, told: Told) -> WorkersFigures:
    """Start a worker of each delivery once a round; who begins changes. Raises WorkerEndedError, UntrueRunError."""
    found: tuple[list[Figures], list[Figures]] = ([], [])
    for number in range(rounds):
        for which in (0, 1) if number % 2 else (1, 0):
            kafka = settings.kafka.model_copy(update={"delivery": DELIVERIES[which]})
            found[which].append(_one(settings.model_copy(update={"kafka": kafka}), events))
            told("whole workers", "runs", len(found[0]) + len(found[1]), 2 * rounds)
    return WorkersFigures(events, *found)


def _one(settings: Settings, events: int) -> Figures:
    worker = WorkerProcess(settings, settings.local.state_dir / "bench-worker.log")
    try:
        worker.start()
        figures, _ = measure(settings, worker, heard_again(settings, WARM_UP + events), Tier.MEMORY, _quiet)
    finally:
        worker.stop()
    return figures


def _quiet(_name: str, _unit: str, _done: int, _total: int) -> None:
    """A run is one step of the progress that is shown."""
