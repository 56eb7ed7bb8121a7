"""Finding a ledger row by halves, against reading them all."""

from collections.abc import Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.operate.place import Place
from streamproc.operate.why import ledger
from streamproc.operate.why.ledger import LedgerSearch
from streamproc.records.avro import OutputCodec, schema_of
from streamproc.records.ledger import LedgerEntry
from streamproc.records.record import TopicPartition
from tests.unit.demo.made import ledger as row

CODEC = OutputCodec(1, 2, 3)
REGISTRY = SimpleNamespace(get_schema=lambda _: SimpleNamespace(schema_str=schema_of(LedgerEntry).text))


class Rows:
    """A ledger of one partition: the rows of two input partitions, and offsets that have none."""

    def __init__(self, rows: Sequence[LedgerEntry | None]) -> None:
        self.partition = TopicPartition("ledger", 0)
        self.read_rows = 0
        self._rows = [
            None if one is None else (at, f"{one.input_topic}/{one.input_partition}".encode(), CODEC.encode(one))
            for at, one in enumerate(rows)
        ]

    def partitions(self, _topic: str) -> Sequence[TopicPartition]:
        return [self.partition]

    def bounds(self, _partitions: object) -> Mapping[TopicPartition, range]:
        return {self.partition: range(len(self._rows))}

    def at(self, _partitions: object, at_ms: int) -> Mapping[TopicPartition, int]:
        """A row a second."""
        return {self.partition: min(at_ms // 1_000, len(self._rows))}

    def read(
        self, stretches: Mapping[TopicPartition, range], _take: object
    ) -> Iterator[list[tuple[int, bytes, bytes]]]:
        for at in stretches[self.partition]:
            self.read_rows += 1
            if (one := self._rows[at]) is not None:
                yield [one]


def search(rows: Rows) -> LedgerSearch:
    return LedgerSearch(cast("Any", rows), cast("Any", REGISTRY), "ledger")


@st.composite
def ledgers(draw: st.DrawFn) -> list[LedgerEntry | None]:
    """Rows of two partitions as they come, with end marks and offsets of the input that no row has between them."""
    made: list[LedgerEntry | None] = []
    following = [0, 0]
    for _ in range(draw(st.integers(0, 40))):
        partition = draw(st.sampled_from([0, 0, 0, 1, None]))
        if partition is None:
            made.append(None)
            continue
        first = following[partition] + draw(st.sampled_from([0, 0, 1]))
        following[partition] = first + draw(st.integers(1, 3))
        made.append(row(first, following[partition] - 1, partition, "in"))
    return made


@given(ledgers(), st.integers(1, 5), st.integers(0, 1), st.none() | st.integers(0, 100_000))
def test_it_finds_what_reading_all_would(
    made: list[LedgerEntry | None], scanned: int, partition: int, since_ms: int | None
) -> None:
    rows = Rows(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "_SCANNED", scanned)
        for offset in range(80):
            expected = [
                (at, one)
                for at, one in enumerate(made)
                if one and one.input_partition == partition and one.first_offset <= offset <= one.last_offset
            ]
            found = search(rows).find(Place(TopicPartition("in", partition), offset), since_ms)
            assert ([(found.row_at.offset, found.row)] if found else []) == expected


def test_a_long_ledger_is_not_read() -> None:
    rows = Rows([row(first, first, 0, "in") for first in range(20_000)])
    assert search(rows).find(Place(TopicPartition("in", 0), 12_345), None) is not None
    assert rows.read_rows < 2_000


def test_a_row_among_those_of_others_is_found_by_the_time_of_its_record() -> None:
    others = [row(first, first, 0, "in") for first in range(40_000)]
    others[9_000] = row(3, 3, 1, "in")
    rows = Rows(others)
    assert search(rows).find(Place(TopicPartition("in", 1), 3), 9_000_000) is not None
    assert rows.read_rows < 1_000


def test_a_time_that_is_wrong_hides_no_row() -> None:
    rows = Rows([row(first, first, 0, "in") for first in range(20_000)])
    found = search(rows).find(Place(TopicPartition("in", 0), 12_345), 19_000_000)
    assert found is not None
    assert found.row_at.offset == 12_345
