from typing import Any

from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME

from streamproc.kafka.skew import Skew


class Delivered:
    def __init__(self, kind: int, at_ms: int) -> None:
        self._stamp = kind, at_ms

    def timestamp(self) -> tuple[int, int]:
        return self._stamp


def told(kind: int, at_ms: int) -> list[float]:
    heard: list[float] = []
    times = iter([1_000, 1_010])
    skew = Skew(heard.append, lambda: next(times))
    skew.sent()
    message: Any = Delivered(kind, at_ms)
    skew.delivered(message)
    return heard


def test_the_brokers_stamp_is_compared_with_the_middle_of_the_way() -> None:
    assert told(TIMESTAMP_LOG_APPEND_TIME, 3_505) == [2.5]
    assert told(TIMESTAMP_LOG_APPEND_TIME, 5) == [-1.0]


def test_our_own_stamp_says_nothing() -> None:
    assert told(TIMESTAMP_CREATE_TIME, 3_505) == []
