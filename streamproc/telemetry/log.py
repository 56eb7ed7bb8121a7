"""How the process speaks, on stderr: one JSON object a line, or lines for people on a terminal.

Field names are from one closed list.

Everything goes through the standard library's root logger, so what libraries say comes out in the same shape.
"""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from streamproc.settings import LogSettings

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "at": "when, UTC",
        "level": "how bad",
        "event": "what happened, a fixed text that can be counted",
        "logger": "the room that speaks",
        "unknown_fields": "names of fields outside this list, whose values were dropped",
        "exception": "the traceback, without values of variables",
        "detail": "what a library said",
        "error": "the class of an exception",
        "slot": "the worker's slot",
        "topic": "topic of the record",
        "partition": "its partition",
        "offset": "its offset",
        "event_id": "the event's identity",
        "bucket": "where the recording is",
        "object_key": "its name there",
        "reason": "why, from errors.Reason",
        "stage": "where, from errors.Stage",
        "cause": "the store's answer, from errors.Cause; or why the worker ended, from errors.Fatal",
        "dependency": "the server it is about",
        "pid": "process id of a child",
        "count": "how many, of what the event names",
        "attempt": "which try",
        "seconds": "how long",
        "url": "an address without credentials",
        "micro_batch": "number of the micro-batch since the start",
        "records": "records in it",
        "results": "ended as a result",
        "retries": "went to a lane",
        "retry_reasons": "how many of them for which reason, from errors.Reason",
        "dead_letters": "ended as a dead letter",
        "reasons": "how many dead letters for which reason, from errors.Reason, the most frequent first",
        "dropped": "left out, their partition was lost or revoked",
        "transaction_seconds": "the commit alone",
        "aborts": "transactions aborted before this one went through",
    }
)


@dataclass(frozen=True, slots=True)
class MicroBatchLine:
    """The canonical line: everything about one micro-batch, once, when it is committed."""

    micro_batch: int
    records: int
    results: int
    retries: int
    retry_reasons: Mapping[str, int]
    dead_letters: int
    dropped: int
    seconds: float
    transaction_seconds: float
    aborts: int


def get_log(room: str) -> structlog.stdlib.BoundLogger:
    """The logger of a room (``__name__``)."""
    return structlog.stdlib.get_logger(room)


def micro_batch_line(log: structlog.stdlib.BoundLogger, line: MicroBatchLine) -> None:
    """Write the canonical line."""
    log.info("micro-batch committed", **{name: getattr(line, name) for name in MicroBatchLine.__slots__})


def configure_log(settings: LogSettings, stream: TextIO | None = None) -> None:
    """Set up structlog and the standard library's root logger; later calls replace what earlier ones set.

    ``stream`` is where lines go; None takes stderr as it is now, since stdout belongs to what a command answers.
    """
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared(),
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(settings, target)],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    # Libraries narrate at info (an HTTP client, every request): theirs is heard from warning on.
    root.setLevel(max(logging.WARNING, logging.getLevelNamesMapping()[settings.level.upper()]))
    logging.getLogger("streamproc").setLevel(settings.level.upper())
    logging.captureWarnings(capture=True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _as_a_library() -> None:
    """What holds until a program sets its own log up: structlog alone would print everything, on stdout."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["event"]),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _shared() -> list[structlog.typing.Processor]:
    return [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]


def _renderers(settings: LogSettings, target: TextIO) -> list[structlog.typing.Processor]:
    # Neither renderer may show the values of local variables, as structlog's richer tracebacks do: secrets live there.
    if settings.format == "console" or (settings.format == "auto" and target.isatty()):
        console = structlog.dev.ConsoleRenderer(
            colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback, timestamp_key="at"
        )
        return [_only_known_fields, console]
    return [structlog.processors.format_exc_info, _only_known_fields, structlog.processors.JSONRenderer()]


def _only_known_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Drop a field outside the list and say so: an index does not grow by a typing error, nor does a value leak."""
    unknown = [name for name in event if name not in FIELDS and name not in _RENDERED]
    for name in unknown:
        del event[name]
    if unknown:
        event["unknown_fields"] = sorted(unknown)
    return event


_RENDERED = frozenset({"exc_info", "stack_info", "stack"})
"""What structlog itself passes to the console renderer."""

if not structlog.is_configured():
    _as_a_library()
