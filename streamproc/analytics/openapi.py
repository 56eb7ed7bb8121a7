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
_STATE: Mapping[str, Schema] = {
    "watermark": _MS,
    "attributes": {"type": "array", "items": {"type": "string"}},
    "windows": {"type": "array", "items": {"$ref": "#/components/schemas/Windows"}},
    "alert_share": {"type": "number"},
    "alert_support": {"type": "integer"},
    "ready": {"type": "boolean", "description": "whether all that is kept was read"},
    "partitions": {"type": "array", "items": {"type": "object"}},
}
_KIND = {"name": "kind", "in": "query", "schema": {"type": "string", "enum": list(KINDS), "default": KINDS[0]}}
MOST = 1_000
"""Rows of an answer."""
DEFAULT_MOST = 100
_ROWS: Schema = {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_MOST}
_MOST = {"name": "most", "in": "query", "schema": _ROWS}


def description() -> Mapping[str, Any]:
    """The whole document."""
    attribute = _parameter("attribute", "all")
    return {
        "openapi": "3.1.0",
        "info": {"title": "streamproc analytics", "version": __version__},
        "paths": {
            "/api/state": _path("How far it is, and what can be asked for.", [], _object("State")),
            "/api/windows": _path(
                "The current window of each key of an attribute: those with support first, then the most negative.",
                [_KIND, attribute, _MOST],
                _list("Window"),
            ),
            "/api/series": _path(
                "The latest windows of one key, in order.",
                [_KIND, attribute, _parameter("value", ""), _MOST],
                _list("Window"),
            ),
            "/api/movers": _path(
                "Whose negative share changed most since the window before.",
                [_KIND, {"name": "attribute", "in": "query", "required": True, "schema": {"type": "string"}}, _MOST],
                _list("Mover"),
            ),
            "/api/alerts": _path("Windows that are alarming now, latest first.", [_MOST], _list("Window")),
        },
        "components": {
            "schemas": {
                name: _schema(fields)
                for name, fields in (
                    ("Window", _WINDOW),
                    ("Mover", _MOVER),
                    ("State", _STATE),
                    ("Windows", _WINDOWS),
                )
            }
        },
    }


def _parameter(name: str, default: str) -> Schema:
    return {"name": name, "in": "query", "schema": {"type": "string", "default": default}}


def _schema(fields: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "required": list(fields), "properties": dict(fields), "additionalProperties": False}


def _object(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(name: str) -> Schema:
    return {"type": "array", "items": _object(name)}


def _path(summary: str, parameters: list[Schema], schema: Schema) -> Schema:
    answers = {"200": {"description": "The answer.", "content": {"application/json": {"schema": schema}}}}
    if parameters:
        answers["400"] = {"description": "A parameter that cannot be.", "content": {}}
    return {"get": {"summary": summary, "parameters": parameters, "responses": answers}}
