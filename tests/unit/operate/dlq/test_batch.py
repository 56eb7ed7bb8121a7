import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from streamproc.operate.dlq.batch import Batch
from streamproc.records.record import OutputRecord
from tests.unit.operate.dlq.made import letter

ORIGINAL = OutputRecord("in", b"k", b"v")


@given(st.lists(st.tuples(st.integers(0, 1), st.booleans(), st.integers(1, 3)), max_size=30))
def test_exactly_the_letters_that_go_back_are_noted(steps: Sequence[tuple[int, bool, int]]) -> None:
    """Partition, whether it goes back, and how far the letter is from the one before."""
    batch, at = Batch(), [0, 0]
    went: list[set[int]] = [set(), set()]
    stayed: list[set[int]] = [set(), set()]
    for partition, back, gap in steps:
        at[partition] += gap
        one = letter(at[partition], partition)
        if back:
            batch.take(one, ORIGINAL)
            went[partition].add(at[partition])
        else:
            batch.leave(one)
            stayed[partition].add(at[partition])
    records = [*batch.records("in.replays", 5)]
    count = len(batch.taken)
    assert records[:count] == [ORIGINAL] * count
    noted: dict[bytes | None, set[int]] = {}
    for note in records[count:]:
        runs = json.loads(note.value or b"")["put_back"]
        noted[note.key] = {offset for first, end in runs for offset in range(first, end)}
    for partition in (0, 1):
        found = noted.get(b"in.dlq/%d" % partition, set())
        assert went[partition] <= found
        assert not found & stayed[partition]


def test_letters_that_no_letter_parts_are_one_run_and_a_note_tells_the_newest() -> None:
    batch = Batch()
    for offset, at_ms in ((3, 70), (5, 90), (8, 80)):
        batch.take(letter(offset, at_ms=at_ms), ORIGINAL)
    batch.leave(letter(9))
    batch.take(letter(12, at_ms=10), ORIGINAL)
    *_, note = batch.records("in.replays", 123)
    assert json.loads(note.value or b"") == {"put_back": [[3, 9], [12, 13]], "began_ms": 123, "newest_ms": 90}
