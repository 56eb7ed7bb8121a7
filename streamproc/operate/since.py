"""Moments as people write them: ``15m``, ``2h``, ``7d``, or a date."""

import re
from datetime import UTC, datetime, timedelta

from streamproc.errors import UsageError

_SPAN = re.compile(r"(\d{1,6})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_since(text: str, now_ms: int) -> int:
    """Ms since the epoch of a span before now, or of an ISO 8601 date (UTC unless it names a zone).

    What is before the epoch is the epoch: Kafka's records have no earlier times, and it means other things by them.
    Raises UsageError; also for a moment that is still to come, of which nothing can be said.
    """
    if span := _SPAN.fullmatch(text):
        return max(0, now_ms - timedelta(**{_UNITS[span[2]]: int(span[1])}) // timedelta(milliseconds=1))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no time: write a span like 15m, 2h or 7d, or a date like 2026-01-31") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    at_ms = round(moment.timestamp() * 1000)
    if at_ms > now_ms:
        raise UsageError(f"{text} is still to come")
    return max(0, at_ms)
