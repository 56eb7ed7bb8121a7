"""What waits to be archived, and what gives up."""

from hypothesis import given
from hypothesis import strategies as st

from streamproc.records.analysis import Analysis, AudioInfo, SegmentAnalysis, Status
from streamproc.records.weight import weight
from streamproc.worker.stages.unarchived import Unarchived


def analysis(segments: int) -> Analysis:
    one = SegmentAnalysis(0, -1, 0, 900, 600, -20.0, "sad", 0.5, (0.5,))
    return Analysis(Status.OK, ("sad",), (0.5,), 600, AudioInfo(900, 16_000, 1, "flac"), (one,) * segments)


@given(st.lists(st.one_of(st.none(), st.integers(0, 40))), st.integers(0, 30_000))
def test_it_never_weighs_more_than_it_may_and_the_newest_stay(steps: list[int | None], most_bytes: int) -> None:
    """Against a list: a number comes, with as many segments, and None takes the oldest."""
    unarchived, model = Unarchived(most_bytes), list[tuple[str, Analysis]]()
    for number, segments in enumerate(steps):
        if segments is None:
            if model:
                assert unarchived.take() == model.pop(0)
            continue
        forgotten = 0
        if weight(analysis(segments)) > most_bytes:
            forgotten = 1
        else:
            model.append((str(number), analysis(segments)))
        while sum(weight(one) for _, one in model) > most_bytes:
            model.pop(0)
            forgotten += 1
        assert unarchived.add(str(number), analysis(segments)) == forgotten
        assert len(unarchived) == len(model)
    assert [unarchived.take() for _ in range(len(unarchived))] == model


def test_what_is_let_go_of_is_counted_once_and_makes_room() -> None:
    unarchived = Unarchived(2 * weight(analysis(1)))
    for key in ("a", "b"):
        assert unarchived.add(key, analysis(1)) == 0
    assert (unarchived.clear(), unarchived.clear(), len(unarchived)) == (2, 0, 0)
    for key in ("c", "d"):
        assert unarchived.add(key, analysis(1)) == 0


def test_one_that_is_too_large_alone_goes_alone() -> None:
    unarchived = Unarchived(weight(analysis(3)))
    assert unarchived.add("a", analysis(1)) == 0
    assert unarchived.add("b", analysis(4)) == 1
    assert unarchived.take() == ("a", analysis(1))
    assert unarchived.add("c", analysis(3)) == 0
