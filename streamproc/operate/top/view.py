"""What two looks at all workers come to: rates, lags and shares."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamproc.operate.top.scrape import Scrape

COMPUTED = "computed"


@dataclass(frozen=True, slots=True)
class WorkerLine:
    """One worker."""

    worker: str
    group: str
    """Of consumers; empty where the worker does not say."""
    ready: bool
    brake: bool
    partitions: int
    records_per_s: float
    audio_per_s: float
    """Seconds of audio committed in a second."""
    lag_s: float
    in_flight: int
    oldest_s: float
    device_busy: float
    """Share of its time."""
    memory_bytes: float
    """Of its processes."""


@dataclass(frozen=True, slots=True)
class View:
    """All workers that answered twice, ``seconds`` apart."""

    seconds: float
    workers: tuple[WorkerLine, ...]
    missing: tuple[str, ...]
    """Why others are not among them."""
    outcomes: Mapping[str, float]
    """Records a second, as the next four are."""
    tiers: Mapping[str, float]
    lanes: Mapping[str, float]
    reasons: Mapping[str, float]
    """Of dead letters; those that there are."""
    stages: Mapping[str, float]
    """Mean seconds of a record in each; those that any passed."""
    away: tuple[str, ...]
    """Servers that a worker misses."""
    drain_s: float | None
    """Of what waits, at the measured speed; None before there is one."""

    @property
    def records_per_s(self) -> float:
        """Of all workers."""
        return sum(one.records_per_s for one in self.workers)

    @property
    def lag_s(self) -> float:
        """Of the oldest record that waits anywhere."""
        return max((one.lag_s for one in self.workers), default=0.0)

    @property
    def hit_rate(self) -> float | None:
        """Analyses that were known, of all; None where there were none."""
        every = sum(self.tiers.values())
        return 1 - self.tiers.get(COMPUTED, 0.0) / every if every else None


def view(pairs: Sequence[tuple[Scrape, Scrape]], missing: Sequence[str] = ()) -> View:
    """Of each worker a scrape and a later one; a counter that fell was started again and counts from nothing."""
    backlog = sum(total(after, "backlog_audio_seconds") for _, after in pairs)
    speed = sum(total(after, "speed_ratio") for _, after in pairs)
    away = {labels["dependency"] for _, after in pairs for labels, value in after.of("dependency_down") if value}
    return View(
        seconds=max((after.at - before.at for before, after in pairs), default=0.0),
        workers=tuple(_line(before, after) for before, after in pairs),
        missing=tuple(missing),
        outcomes=_rates(pairs, "records_total", "outcome"),
        tiers=_rates(pairs, "analyses_total", "tier"),
        lanes=_rates(pairs, "retries_total", "lane"),
        reasons={name: rate for name, rate in _rates(pairs, "dead_letters_total", "reason").items() if rate},
        stages=_means(pairs, "stage_seconds", "stage"),
        away=tuple(sorted(away)),
        drain_s=backlog / speed if speed else None,
    )


def total(scrape: Scrape, name: str, **labels: str) -> float:
    """The sum of some series."""
    return sum(value for _, value in scrape.of(name, **labels))


def _line(before: Scrape, after: Scrape) -> WorkerLine:
    pair = [(before, after)]
    busy = _rates(pair, "time_seconds_total", "activity", thread="device")
    return WorkerLine(
        worker=after.worker,
        group=after.group,
        ready=total(after, "ready") > 0,
        brake=total(after, "brake_on") > 0,
        partitions=round(total(after, "partitions")),
        records_per_s=sum(_rates(pair, "records_total", "outcome").values()),
        audio_per_s=_rate(pair, "audio_seconds_total"),
        lag_s=total(after, "lag_seconds", topic="recordings"),
        in_flight=round(total(after, "in_flight_records")),
        oldest_s=total(after, "oldest_in_flight_seconds"),
        # Of what its sheet says of all of it: an answer that was long on its way is no time of the device.
        device_busy=busy.get("compute", 0.0) / (sum(busy.values()) or 1.0),
        memory_bytes=total(after, "memory_bytes"),
    )


def _rate(pairs: Sequence[tuple[Scrape, Scrape]], name: str) -> float:
    return sum(_grown(before, after, name).get("", 0.0) / (after.at - before.at) for before, after in pairs)


def _rates(pairs: Sequence[tuple[Scrape, Scrape]], name: str, label: str, **labels: str) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for before, after in pairs:
        for value, grown in _grown(before, after, name, label, **labels).items():
            found[value] = found.get(value, 0.0) + grown / (after.at - before.at)
    return found


def _means(pairs: Sequence[tuple[Scrape, Scrape]], name: str, label: str) -> Mapping[str, float]:
    """Of a histogram, what was observed between the two."""
    sums: dict[str, float] = {}
    counts: dict[str, float] = {}
    for before, after in pairs:
        for into, part in ((sums, "sum"), (counts, "count")):
            for value, grown in _grown(before, after, f"{name}_{part}", label).items():
                into[value] = into.get(value, 0.0) + grown
    return {value: sums[value] / count for value, count in counts.items() if count}


def _grown(before: Scrape, after: Scrape, name: str, label: str = "", **labels: str) -> dict[str, float]:
    """How much a counter grew, by one of its labels."""
    was: dict[str, float] = {}
    for found, value in before.of(name, **labels):
        was[found.get(label, "")] = was.get(found.get(label, ""), 0.0) + value
    now: dict[str, float] = {}
    for found, value in after.of(name, **labels):
        now[found.get(label, "")] = now.get(found.get(label, ""), 0.0) + value
    return {key: value - was.get(key, 0.0) if value >= was.get(key, 0.0) else value for key, value in now.items()}
