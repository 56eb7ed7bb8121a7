"""Rows and panels in Grafana's words: its dashboard model, as ``@grafana/schema`` has it."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from tools.dashboard.panel import Panel, Row

SCHEMA_VERSION = 41
WIDTH, HEIGHT = 8, 8
"""Of a panel, in units of a page of 24."""
ACROSS = 3
SOURCE = {"type": "prometheus", "uid": "${source}"}


def dashboard(rows: Sequence[Row]) -> dict[str, Any]:
    """The whole of it."""
    return {
        "uid": "streamproc",
        "title": "streamproc",
        "description": "Workers that turn recordings into emotion results. What each metric is: docs/metrics.md.",
        "tags": ["streamproc"],
        "schemaVersion": SCHEMA_VERSION,
        "editable": True,
        "graphTooltip": 1,
        "time": {"from": "now-1h", "to": "now"},
        "refresh": "30s",
        "templating": {"list": [_source(), _variable("job", ""), _variable("instance", '{job=~"$job"}')]},
        "panels": list(_panels(rows)),
    }


def text(rows: Sequence[Row]) -> str:
    """As the file has it."""
    return json.dumps(dashboard(rows), indent=1, ensure_ascii=False) + "\n"


def _source() -> dict[str, Any]:
    return {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"}


def _variable(name: str, chosen: str) -> dict[str, Any]:
    """Jobs and instances, all of them unless somebody chooses."""
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": f"label_values(streamproc_ready{chosen}, {name})",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
    }


def _panels(rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
    number, top = 0, 0
    for row in rows:
        number += 1
        place = {"x": 0, "y": top, "w": WIDTH * ACROSS, "h": 1}
        yield {"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": place, "panels": []}
        top += 1
        for index, panel in enumerate(row.panels):
            number += 1
            down, across = divmod(index, ACROSS)
            yield _graph(panel, number, {"x": WIDTH * across, "y": top + HEIGHT * down, "w": WIDTH, "h": HEIGHT})
        top += HEIGHT * -(-len(row.panels) // ACROSS)


def _graph(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    custom: dict[str, Any] = {"fillOpacity": 40 if panel.stacked else 0, "showPoints": "never"}
    if panel.stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.bound is not None:
        custom["thresholdsStyle"] = {"mode": "line"}
        steps.append({"color": "red", "value": panel.bound})
    defaults = {"unit": panel.unit, "min": 0, "custom": custom, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.most is not None:
        defaults["max"] = panel.most
    return {
        "id": number,
        "type": "timeseries",
        "title": panel.title,
        "description": panel.why,
        "datasource": SOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": query.expr, "legendFormat": query.legend}
            for index, query in enumerate(panel.queries)
        ],
    }
