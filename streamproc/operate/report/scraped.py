"""Reading two periods from Prometheus: what the workers counted, as far as it was scraped."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import compress
from operator import add

from streamproc.errors import UsageError
from streamproc.operate.report.anomaly import anomalies
from streamproc.operate.report.buckets import spread
from streamproc.operate.report.growth import Counter, Life, growth
from streamproc.operate.report.period import PARTS, Part, Period
from streamproc.operate.report.prometheus import Edges, Prometheus, Series, open_prometheus
from streamproc.operate.report.report import Report, Source
from streamproc.settings import PrometheusSettings
from streamproc.telemetry.families import PREFIX
from streamproc.telemetry.told import Told

RECORDS, DEAD, ANALYSES = ("records_total", "dead_letters_total", "analyses_total")
AUDIO, BUCKETS, SECONDS = ("audio_seconds_total", "response_seconds_bucket", "response_seconds_sum")
COUNTERS = (RECORDS, DEAD, ANALYSES, AUDIO, BUCKETS, SECONDS)
BEGAN = "process_start_time_seconds"
OWN = frozenset({"__name__", "outcome", "reason", "tier", "le"})
"""Labels of the metrics; the others are of the worker."""
LEAST_MS = 300_000
"""How far a look goes back at least: as long as Prometheus itself takes a value for the current one."""
ESTIMATED = (
    "from Prometheus: statuses, labels and processing times are not known to it, p50, p95 and p99 are estimated within "
    "the buckets of a histogram, and of what a worker did after the last time that it was scraped nothing is known"
)

Worker = frozenset[tuple[str, str]]
Key = tuple[str, str]
"""A metric and the value of its label."""


@dataclass(frozen=True, slots=True)
class _Scraped:
    """Growth in each cell of all workers together."""

    edges: Edges
    cells: Mapping[Key, Sequence[float]]
    notes: tuple[str, ...]

    def values(self, name: str) -> Iterator[str]:
        """Of the metric's label."""
        return (value for known, value in self.cells if known == name)

    def total(self, name: str, value: str, within: slice) -> float:
        return sum(self.cells.get((name, value), ())[within])


def report(settings: PrometheusSettings, url: str, job: str | None, period: tuple[int, int], told: Told) -> Report:
    """What ended in a period (begin and end in ms since the epoch), of one job or of all workers that are scraped.

    Raises UsageError for a server that refuses, that is none, or that knows no workers; DependencyDownError.
    """
    begin_ms, end_ms = period
    step_ms = max(1, (end_ms - begin_ms) // PARTS)
    edges = Edges(end_ms - 2 * PARTS * step_ms, step_ms, 2 * PARTS + 1)
    with open_prometheus(settings, url) as prometheus:
        scraped = _read(prometheus, edges, job, told)
    now = _period(scraped, slice(PARTS, 2 * PARTS), begin_ms, end_ms)
    before = _period(scraped, slice(0, PARTS), 2 * begin_ms - end_ms, begin_ms)
    return Report(now, before, tuple(anomalies(now, before)), None, Source.PROMETHEUS, (ESTIMATED, *scraped.notes))


def _read(prometheus: Prometheus, edges: Edges, job: str | None, told: Told) -> _Scraped:
    only = "" if job is None else f"job={json.dumps(job, ensure_ascii=False)}"
    back = f"{max(edges.step_ms, LEAST_MS)}ms"
    asked = 0

    def ask(query: str) -> Mapping[Worker, list[Series]]:
        nonlocal asked
        found = prometheus.look(query, edges)
        asked += 1
        told("Prometheus", "asked", asked, 2 * len(COUNTERS) + 1)
        return _by_worker(found)

    ours = f"and on (job, instance) last_over_time({PREFIX}ready{{{only}}}[{back}])"
    began = ask(f"last_over_time({BEGAN}{{{only}}}[{back}]) {ours}")
    lives = {worker: Life(_merged([one.values for one in some])) for worker, some in began.items()}
    first_s = edges.first_ms / 1000
    cells: dict[Key, list[float]] = defaultdict(lambda: [0.0] * (edges.count - 1))
    for name in COUNTERS:
        series = f"{PREFIX}{name}{{{only}}}"
        values, increases = ask(f"last_over_time({series}[{back}])"), ask(f"increase({series}[{edges.step_ms}ms])")
        for worker, some in values.items():
            extrapolated = {_key(name, one): one.values for one in increases.get(worker, ())}
            for one in some:
                key = _key(name, one)
                counter = Counter(one.values, extrapolated.get(key, [None] * edges.count))
                life = lives.get(worker, Life([None] * edges.count))
                cells[key] = list(map(add, cells[key], growth(counter, life, first_s)))
    if not cells:
        raise UsageError(_nothing(prometheus, edges, job))
    warned = (f"Prometheus warns, so something may be missing here: {one}" for one in prometheus.warnings)
    return _Scraped(edges, cells, (*_notes(lives, edges), *warned))


def _by_worker(found: Sequence[Series]) -> Mapping[Worker, list[Series]]:
    workers: dict[Worker, list[Series]] = defaultdict(list)
    for one in found:
        workers[frozenset((name, value) for name, value in one.labels.items() if name not in OWN)].append(one)
    return workers


def _merged(looks: Sequence[Sequence[float | None]]) -> Sequence[float | None]:
    return [next((value for value in edge if value is not None), None) for edge in zip(*looks, strict=True)]


def _key(name: str, one: Series) -> Key:
    return name, next((value for label, value in one.labels.items() if label in OWN - {"__name__"}), "")


def _period(scraped: _Scraped, within: slice, begin_ms: int, end_ms: int) -> Period:
    def counts(name: str) -> Mapping[str, int]:
        found = {value: round(scraped.total(name, value, within)) for value in scraped.values(name)}
        return {value: found[value] for value in sorted(found, key=found.__getitem__, reverse=True) if found[value]}

    buckets = {float(bound): scraped.total(BUCKETS, bound, within) for bound in scraped.values(BUCKETS)}
    ends = counts(RECORDS)
    return Period(
        begin_ms=begin_ms,
        end_ms=end_ms,
        results=ends.get("result", 0),
        dead_letters=ends.get("dead_letter", 0),
        audio_s=round(scraped.total(AUDIO, "", within), 3),
        response=spread(buckets, scraped.total(SECONDS, "", within)),
        unknown=None,
        processing=None,
        tiers=counts(ANALYSES),
        statuses=None,
        labels=None,
        reasons=counts(DEAD),
        parts=tuple(_part(scraped, cell) for cell in range(*within.indices(scraped.edges.count - 1))),
    )


def _part(scraped: _Scraped, cell: int) -> Part:
    here = slice(cell, cell + 1)
    begin_ms = scraped.edges.first_ms + cell * scraped.edges.step_ms
    results, dead = (round(scraped.total(RECORDS, outcome, here)) for outcome in ("result", "dead_letter"))
    ended, seconds = scraped.total(BUCKETS, "+Inf", here), scraped.total(SECONDS, "", here)
    return Part(begin_ms, results, dead, seconds / ended if ended else None)


def _notes(lives: Mapping[Worker, Life], edges: Edges) -> Iterator[str]:
    jobs = sorted({dict(worker).get("job", "") for worker in lives})
    if len(jobs) > 1:
        yield f"{len(jobs)} jobs together, of which --job takes one: {', '.join(jobs)}"
    seen = [any(life.began[edge] is not None for life in lives.values()) for edge in range(edges.count)]
    first = next(compress(range(edges.count), seen), 0)
    if first:
        after, until = (_moment(edges.first_ms + edge * edges.step_ms) for edge in (first - 1, first))
        yield f"Prometheus saw its first worker between {after} and {until} UTC"
    if missed := sum(life.missed(edges.first_ms / 1000) for life in lives.values()):
        yield f"{missed} workers worked before Prometheus saw them, and what they did until then is not here"
    if restarts := sum(life.restarts for life in lives.values()):
        yield f"{restarts} times a worker was started again: what is around that is extrapolated"
    if joined := sum(life.joined(edges.first_ms / 1000) for life in lives.values()):
        yield (
            f"{joined} workers began in these periods under an address of their own, as pods do: of what those before "
            "them did after they were scraped last nothing is known"
        )


def _moment(at_ms: float) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _nothing(prometheus: Prometheus, edges: Edges, job: str | None) -> str:
    of = "" if job is None else f" of job {job!r}"
    begin, end = _moment(edges.first_ms), _moment(edges.first_ms + edges.step_ms * (edges.count - 1))
    return (
        f"{prometheus.address} (prometheus.url) saw no worker{of} from {begin} to {end} UTC: does it scrape them "
        "(infra/prometheus/prometheus.yml)? Without --prometheus the report is read from the topics"
    )
