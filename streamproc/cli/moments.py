"""When recordings that are published began: what ``--recorded-at`` says."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from streamproc.errors import UsageError

MTIME = "mtime"
"""Asks for the time of each file."""
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def recorded_at(text: str, files: Sequence[Path], latest_ms: int) -> list[int]:
    """When each file was recorded, in ms since the epoch: the moment that is named, or its last change.

    Raises UsageError for what is neither, naming each file whose time is later than ``latest_ms``: a wrong clock.
    """
    if text != MTIME:
        return [_moment(text, latest_ms)] * len(files)
    times = [file.stat().st_mtime_ns // 1_000_000 for file in files]
    if late := [
        f"{file}: was last written at {_told(at)}" for file, at in zip(files, times, strict=True) if at > latest_ms
    ]:
        raise UsageError(
            "nothing was published: a time is still to come, by this computer's clock:\n  " + "\n  ".join(late)
        )
    return times


def _moment(text: str, latest_ms: int) -> int:
    written = text.upper()
    try:
        moment = datetime.fromisoformat(written) if _RFC_3339.fullmatch(written) else None
    except ValueError:
        moment = None
    if moment is None:
        raise UsageError(
            f"--recorded-at {text!r:.80} is no time: write date, time and zone, as in 2026-01-31T09:15:00Z or "
            f"2026-01-31T10:15:00+01:00, or {MTIME} for the time of each file"
        )
    at_ms = (moment - _EPOCH) // timedelta(milliseconds=1)
    if at_ms > latest_ms:
        raise UsageError(f"--recorded-at {text} is still to come, by this computer's clock")
    return at_ms


def _told(at_ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat(timespec="seconds")
