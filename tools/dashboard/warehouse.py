"""What `streamproc connect watch` shows."""

from tools.dashboard.panel import Panel, Query, Row


def connectors(how: str, what: str) -> str:
    """A gauge of the watch over connectors. Jobs and instances that are chosen are workers', so it is of all."""
    return f"{how} by (connector) (streamproc_connector_{what})"


WAREHOUSE = Row(
    "The warehouse, by streamproc connect watch",
    (
        Panel(
            "Rows behind",
            "How long the oldest record has waited for its row. Of all jobs: the watch has one of its own.",
            "s",
            (Query(connectors("max", "lag_seconds"), "{{connector}}"),),
            bound=600,
        ),
        Panel(
            "Records behind",
            "Committed, and neither a row yet nor put aside.",
            "none",
            (Query(connectors("max", "lag_records"), "{{connector}}"),),
        ),
        Panel(
            "Connectors",
            "1 while one runs; warehouse: 1 while PostgreSQL lets nobody in; and what was started again and put aside "
            "in ten minutes.",
            "none",
            (
                Query(connectors("min", "running"), "{{connector}}"),
                Query("max (streamproc_warehouse_down)", "warehouse"),
                Query("sum by (connector) (increase(streamproc_connector_restarts_total[10m]))", "again {{connector}}"),
                Query("max (delta(streamproc_connectors_put_aside_records[10m]))", "put aside"),
            ),
        ),
    ),
)
