import json
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streamproc.operate.dlq.back import Back, Run, note
from streamproc.records.record import TopicPartition

ZERO, ONE = TopicPartition("in.dlq", 0), TopicPartition("in.dlq", 1)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), max_size=10), st.randoms())
def test_what_was_put_back_is_known_by_its_place(spans: Sequence[tuple[int, int]], draw: Any) -> None:
    runs: list[Run] = []
    expected: dict[int, int] = {}
    at = 0
    for number, (gap, length) in enumerate(spans):
        first = at + gap
        at = first + length
        runs.append(Run(first, at, number))
        expected |= dict.fromkeys(range(first, at), number)
    draw.shuffle(runs)
    back = Back({ZERO: runs})
    assert {offset: back.when(ZERO, offset) for offset in range(at + 3)} == {
        offset: expected.get(offset) for offset in range(at + 3)
    }
    assert back.when(ONE, 1) is None


def test_a_note_names_the_partition_and_the_runs_of_a_transaction() -> None:
    told = note("in.replays", ONE, [range(3, 5), range(9, 10)])
    assert (told.topic, told.key) == ("in.replays", b"in.dlq/1")
    assert json.loads(told.value or b"") == {"put_back": [[3, 5], [9, 10]]}
