"""A panel: what it shows, and why somebody would look."""

from dataclasses import dataclass

JOB = 'job=~"$job"'
HERE = f'{JOB}, instance=~"$instance"'
WINDOW = "$__rate_interval"


@dataclass(frozen=True, slots=True)
class Query:
    """One query of Prometheus, and how its series are called."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """A graph over time."""

    title: str
    why: str
    unit: str
    """As Grafana calls it."""
    queries: tuple[Query, ...]
    stacked: bool = False
    most: float | None = None
    """Of the axis, where the unit has an end."""
    bound: float | None = None
    """Where an alert begins."""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels that answer one question."""

    title: str
    panels: tuple[Panel, ...]


def rate(name: str, by: str, labels: str = "") -> str:
    """The summed rate of a counter."""
    chosen = ", ".join(filter(None, (HERE, labels)))
    return f"sum by ({by}) (rate(streamproc_{name}{{{chosen}}}[{WINDOW}]))"


def quantile(share: float, name: str) -> str:
    """A quantile of a histogram over all workers."""
    return f"histogram_quantile({share}, {rate(f'{name}_bucket', 'le')})"


def mean(name: str, by: str = "job") -> str:
    """The mean of a histogram."""
    return f"{rate(f'{name}_sum', by)} / {rate(f'{name}_count', by)}"


def gauge(name: str, how: str = "sum", by: str = "job", labels: str = "") -> str:
    """A gauge over all workers."""
    chosen = ", ".join(filter(None, (HERE, labels)))
    return f"{how} by ({by}) (streamproc_{name}{{{chosen}}})"


def quantiles(name: str) -> tuple[Query, ...]:
    """Mean, p50, p95 and p99."""
    tails = (Query(quantile(share, name), f"p{round(100 * share)}") for share in (0.5, 0.95, 0.99))
    return (Query(mean(name), "mean"), *tails)
