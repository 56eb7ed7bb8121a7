"""Since when the outputs are there, by what retention left of them."""

from collections.abc import Iterator, Mapping

import pytest

from streamproc.operate.audit.read import Auditor
from streamproc.records.record import Record, TopicPartition
from streamproc.settings import Settings

ZERO, ONE = (TopicPartition("emotion.results", number) for number in (0, 1))


class FakeLog:
    """Each partition has a record at the start of what is kept of it, at that time; none where nothing is kept."""

    def read(self, stretches: Mapping[TopicPartition, range], _take: object) -> Iterator[list[Record]]:
        for partition, stretch in stretches.items():
            yield [Record(*partition, stretch.start, stretch.start, None, b"", ())] if stretch else []


@pytest.mark.parametrize(
    ("kept", "since_ms"),
    [
        ({ZERO: range(9), ONE: range(0)}, 0),
        ({ZERO: range(9), ONE: range(7, 9)}, 7),
        ({ZERO: range(5, 9), ONE: range(7, 9)}, 7),
        ({ZERO: range(5, 9), ONE: range(9, 9)}, 1_000),
    ],
)
def test_a_partition_that_retention_emptied_tells_no_time(kept: Mapping[TopicPartition, range], since_ms: int) -> None:
    auditor = Auditor(Settings(), FakeLog(), None, lambda *_: None, lambda: 1_000)  # type: ignore[arg-type]  # fakes
    assert auditor._kept_since(kept) == since_ms
