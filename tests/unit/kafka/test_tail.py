from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError

from streamproc.errors import DependencyDownError
from streamproc.kafka.tail import Tail
from streamproc.records.record import TopicPartition
from streamproc.settings import Settings


class Told:
    """What a consumer gives out: a record, or an error."""

    def __init__(self, offset: int, error: KafkaError | None = None) -> None:
        self._offset = offset
        self._error = error

    def error(self) -> KafkaError | None:
        return self._error

    def topic(self) -> str:
        return "t"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def __getattr__(self, _name: str) -> Any:
        return lambda *_: None

    def timestamp(self) -> tuple[int, int]:
        return 1, 0


class Batches:
    """A consumer that gives out batches that are given."""

    def __init__(self, *batches: Iterable[Told]) -> None:
        self._batches = iter(batches)

    def consume(self, *_: object) -> Iterable[Told]:
        return next(self._batches)

    def assign(self, _places: object) -> None:
        """Take it."""

    def close(self) -> None:
        """Nothing is open."""


def test_an_error_is_told_behind_the_records_that_came_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    down = KafkaError(KafkaError._ALL_BROKERS_DOWN)
    consumer = Batches([Told(0), Told(-1, down), Told(1)], [Told(2)])

    def judge(error: KafkaError) -> None:
        raise DependencyDownError("kafka", str(error))

    place = TopicPartition("t", 0)
    lookup = SimpleNamespace(partitions=lambda _: [place], offsets=lambda *_: {place: 0}, judge=judge)
    monkeypatch.setattr("streamproc.kafka.tail.build", lambda *_: consumer)
    monkeypatch.setattr("streamproc.kafka.tail.Lookup", lambda *_: lookup)
    tail = Tail(Settings(), ["t"], 0)
    assert [record.offset for record in tail.poll(0)] == [0, 1]
    with pytest.raises(DependencyDownError):
        tail.poll(0)
    assert [record.offset for record in tail.poll(0)] == [2]
