"""What rooms say, and to whom they say it. Field names are from one closed list; ``voice`` is how it comes out.

Whatever is imported here is imported by every process before it does anything, so that is next to nothing.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any

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


class Log:
    """The logger of a room. What speaks for it (``voice``) is imported with the first sentence that somebody hears."""

    __slots__ = ("_heard", "_room", "_voice")

    def __init__(self, room: str) -> None:
        self._room = room
        self._heard = logging.getLogger(room).isEnabledFor
        self._voice: Any = None

    def debug(self, event: str, /, **fields: object) -> None:
        """For whoever looks for a fault."""
        self._say(logging.DEBUG, "debug", event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """What happened, as it should."""
        self._say(logging.INFO, "info", event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """What somebody may want to look at."""
        self._say(logging.WARNING, "warning", event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """What somebody has to look at."""
        self._say(logging.ERROR, "error", event, fields)

    def exception(self, event: str, /, **fields: object) -> None:
        """``error``, with the traceback of the exception that is being handled."""
        self._say(logging.ERROR, "exception", event, fields)

    def _say(self, level: int, verb: str, event: str, fields: Mapping[str, object]) -> None:
        if not self._heard(level):
            return
        if self._voice is None:
            self._voice = import_module("streamproc.telemetry.voice").of_room(self._room)
        getattr(self._voice, verb)(event, **fields)


def get_log(room: str) -> Log:
    """The logger of a room (``__name__``)."""
    return Log(room)


def micro_batch_line(log: Log, line: MicroBatchLine) -> None:
    """Write the canonical line."""
    log.info("micro-batch committed", **{name: getattr(line, name) for name in MicroBatchLine.__slots__})
