"""The query API described, in OpenAPI's words."""

from collections.abc import Mapping
from typing import Any

from streamproc import __version__
from streamproc.analytics.windows import KINDS

Schema = dict[str, Any]
_NULLABLE_SHARE = {"type": ["number", "null"]}
_MS = {"type": "integer", "description": "ms since the epoch (UTC)"}
_WINDOW: Mapping[str, Schema] = {
    "attribute": {"type": "string"},
    "value": {"type": "string", "description": "empty for the attribute all"},
    "window_kind": {"type": "string", "enum": list(KINDS)},
    "window_start": _MS,
    "window_end": _MS,
    "results": {"type": "integer"},
    "labelled": {"type": "integer"},
    "counts": {"type": "object", "additionalProperties": {"type": "integer"}, "description": "by label"},
    "negative": {"type": "integer"},
    "negative_share": _NULLABLE_SHARE,
    "mean_confidence": _NULLABLE_SHARE,
    "changed": {"type": "integer", "description": "recordings of two segments or more"},
    "mean_change": {"type": ["number", "null"], "description": "last segment less first, -1 to 1"},
}
_MOVER: Mapping[str, Schema] = {**_WINDOW, "share_before": {"type": "number"}, "share_change": {"type": "number"}}
_WINDOWS: Mapping[str, Schema] = {
    "kind": {"type": "string", "enum": list(KINDS)},
    "size_ms": {"type": "integer", "description": "length of a window"},
    "hop_ms": {"type": "integer", "description": "from the begin of one to the next"},
    "window_start": {**_MS, "description": "begin of the current window, ms since the epoch (UTC)"},
    "window_end": _MS,
}
_ALERT: Mapping[str, Schema] = {
    **_WINDOW,
    "alert_id": {"type": "string", "description": "the key of its rows on topics.alerts, which say since when"},
    "trend_id": {"type": "string", "description": "the key of the window's rows on topics.trends"},
}
_STATE: Mapping[str, Schema] = {
    "watermark": _MS,
    "attributes": {"type": "array", "items": {"type": "string"}, "description": "that windows are kept for"},
    "windows": {"type": "array", "items": {"$ref": "#/components/schemas/Windows"}},
    "alert_share": {"type": "number"},
    "alert_support": {"type": "integer"},
    "alert_clear_share": {
        "type": "number",
        "description": "below this an alert is cleared; from there to alert_share it may be raised on topics.alerts",
    },
    "ready": {"type": "boolean", "description": "whether all that is kept was read"},
    "partitions": {"type": "array", "items": {"type": "object"}},
}
_KIND = {"name": "kind", "in": "query", "schema": {"type": "string", "enum": list(KINDS), "default": KINDS[0]}}
MOST = 1_000
"""Rows of an answer."""
DEFAULT_MOST = 100
_ROWS: Schema = {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_MOST}
_MOST = {"name": "most", "in": "query", "schema": _ROWS}
_MEANING = """Windows over emotion results, per attribute of their recordings, by when these began. Read-only. A list is
empty when nothing is kept yet of what was asked for; what cannot be asked for is a 400 that says what can.
"""


def _parameter(name: str, why: str, **more: object) -> Schema:
    return {"name": name, "in": "query", "description": why, "schema": {"type": "string"}, **more}


_OF = _parameter("attribute", "one of those that /api/state lists; all, and none: every result together")
_ANY = _parameter("attribute", "one of those that /api/state lists; none: every one of them")
_VALUE = _parameter("value", "one value of the attribute, such as the name of an agent")
_LISTS: Mapping[str, tuple[str, str, list[Schema]]] = {
    "/api/windows": (
        "The current window of each value of an attribute (all): those with support first, then the most negative.",
        "Window",
        [_KIND, _OF, _VALUE, _MOST],
    ),
    "/api/series": (
        "The latest windows of one value, in order. Without attribute and value: of all results.",
        "Window",
        [_KIND, _OF, _VALUE, _MOST],
    ),
    "/api/movers": (
        "Whose negative share changed most since the window before, with support in both.",
        "Mover",
        [_KIND, _OF, _VALUE, _MOST],
    ),
    "/api/alerts": (
        "Windows that are alarming now, latest first: at alert_share or above, with support.",
        "Alert",
        [_ANY, _VALUE, _MOST],
    ),
}
PARAMETERS: Mapping[str, list[str]] = {
    path: [str(parameter["name"]) for parameter in parameters] for path, (_, _, parameters) in _LISTS.items()
}
"""The names of what each path takes."""
_SCHEMAS: Mapping[str, Mapping[str, Schema]] = {
    "Window": _WINDOW,
    "Mover": _MOVER,
    "Alert": _ALERT,
    "State": _STATE,
    "Windows": _WINDOWS,
    "Probe": {"ok": {"type": "boolean"}},
    "Error": {"error": {"type": "string"}},
}


def description() -> Mapping[str, Any]:
    """The whole document."""
    state = _path("How far it is, and what can be asked for.", _json(_object("State")))
    lists = {path: _list(*told) for path, told in _LISTS.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "streamproc analytics", "version": __version__, "description": _MEANING},
        "paths": {
            "/api/state": state,
            **lists,
            "/healthz": _probe("503 when the process is about to end."),
            "/readyz": _probe("503 until all that is kept was read, and while a server is waited for."),
            "/metrics": _path("Figures of this process, for Prometheus.", _text("text/plain")),
            "/openapi.json": _path("This.", {"application/json": {"schema": {"type": "object"}}}),
            "/": _path("The page.", _text("text/html")),
        },
        "components": {"schemas": {name: _schema(fields) for name, fields in _SCHEMAS.items()}},
    }


def _schema(fields: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "required": list(fields), "properties": dict(fields), "additionalProperties": False}


def _object(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _text(kind: str) -> Schema:
    return {kind: {"schema": {"type": "string"}}}


def _path(summary: str, content: Schema) -> Schema:
    return {"get": {"summary": summary, "responses": {"200": {"description": "The answer.", "content": content}}}}


def _probe(when_not: str) -> Schema:
    path = _path(when_not, _json(_object("Probe")))
    path["get"]["responses"]["503"] = {"description": "It is not.", "content": _json(_object("Probe"))}
    return path


def _list(summary: str, row: str, parameters: list[Schema]) -> Schema:
    path = _path(summary, _json({"type": "array", "items": _object(row)}))
    path["get"]["parameters"] = parameters
    path["get"]["responses"]["400"] = {"description": "What cannot be asked.", "content": _json(_object("Error"))}
    return path
