"""Skew: what the broker's clock says more than ours, from what it acknowledges."""

from collections.abc import Callable

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Message


class Skew:
    """Tells (s) after each delivery to a topic that the broker stamps, as it does the ledger's.

    The stamp lies between our sending and our hearing of it, some milliseconds: half of them is the error.
    """

    def __init__(self, told: Callable[[float], object], wall_ms: Callable[[], int]) -> None:
        self._told = told
        self._wall_ms = wall_ms
        self._sent_ms = 0

    def sent(self) -> None:
        """Note that a record is handed over now."""
        self._sent_ms = self._wall_ms()

    def delivered(self, message: "Message[bytes, bytes]") -> None:
        """Compare, if the broker stamped it."""
        kind, at_ms = message.timestamp()
        if kind == TIMESTAMP_LOG_APPEND_TIME:
            self._told((at_ms - (self._sent_ms + self._wall_ms()) / 2) / 1000)
