"""How the process speaks, on stderr: one JSON object a line, or lines for people on a terminal.

Everything goes through the standard library's root logger, so what libraries say comes out in the same shape.
"""

import logging
import sys
from dataclasses import dataclass
from typing import Protocol, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from streamproc.telemetry.log import FIELDS


class Speech(Protocol):
    """What the section ``log`` of the settings says."""

    @property
    def level(self) -> str:
        """The least that is said: debug, info, warning or error."""
        ...

    @property
    def format(self) -> str:
        """auto, json or console."""
        ...


@dataclass(frozen=True, slots=True)
class Usual:
    """The section's defaults, for a process that reads no settings."""

    level: str = "info"
    format: str = "auto"


def of_room(room: str) -> structlog.stdlib.BoundLogger:
    """What speaks for the logger of a room."""
    return structlog.stdlib.get_logger(room)


def configure_log(settings: Speech, stream: TextIO | None = None) -> None:
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


def _renderers(settings: Speech, target: TextIO) -> list[structlog.typing.Processor]:
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
