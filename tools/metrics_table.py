"""The tables of docs/metrics.md, made from the list of metrics: ``PYTHONPATH=. python tools/metrics_table.py``."""

from streamproc.analytics.metrics import METRICS
from streamproc.telemetry.connectors import ConnectorMetrics
from streamproc.telemetry.families import Definition
from streamproc.telemetry.metrics import Metrics
from streamproc.telemetry.timesheet import ACTIVITIES

HEAD = "| name | kind | unit | labels | why |\n|---|---|---|---|---|"
TIMES_HEAD = "| thread | activity |\n|---|---|"


def table() -> str:
    """A row for each metric."""
    return "\n".join([HEAD, *map(_row, Metrics().definitions)])


def analytics() -> str:
    """A row for each metric of the analytics app."""
    return "\n".join([HEAD, *map(_row, METRICS)])


def connectors() -> str:
    """A row for each metric of the watch over connectors."""
    return "\n".join([HEAD, *map(_row, ConnectorMetrics().definitions)])


def times() -> str:
    """A row for each thread that has a time sheet: what it can be seen at."""
    rows = (f"| `{hand}` | {_words(activities)} |" for hand, activities in ACTIVITIES.items())
    return "\n".join([TIMES_HEAD, *rows])


def _row(one: Definition) -> str:
    labels = "; ".join(f"`{label}`: {_words(values)}" for label, values in one.labels.items())
    return f"| `{one.name}` | {one.kind} | {one.unit} | {labels} | {one.why} |"


def _words(values: tuple[str, ...]) -> str:
    return ", ".join(values)


if __name__ == "__main__":
    print(table(), times(), analytics(), connectors(), sep="\n\n")
