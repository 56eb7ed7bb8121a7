from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streamproc.audio.cut import LEAST_VOICED, MOST, PADDING, PAUSE, SHORT_PAUSE, Cutter, Span


def spans_of(flags: list[bool]) -> list[Span]:
    cutter = Cutter()
    spans = [span for flag in flags if (span := cutter.push(voiced=flag))]
    last = cutter.finish()
    return [*spans, last] if last else spans


def windows(*runs: int) -> list[bool]:
    """Pause, speech, pause, ... of so many windows."""
    return [bool(i % 2) for i, run in enumerate(runs) for _ in range(run)]


def test_speech_between_pauses_is_one_span_with_padding() -> None:
    assert spans_of(windows(50, 100, 50)) == [Span(47, 153, 100)]


def test_padding_ends_at_the_edges() -> None:
    assert spans_of(windows(1, 100, 1)) == [Span(0, 102, 100)]


def test_a_pause_of_half_a_second_separates_and_a_shorter_one_does_not() -> None:
    assert spans_of(windows(10, 50, PAUSE, 50, 40)) == [Span(7, 63, 50), Span(73, 129, 50)]
    assert spans_of(windows(10, 50, PAUSE - 1, 50, 40)) == [Span(7, 10 + 50 + 15 + 50 + 3, 100)]


def test_a_sound_too_short_to_be_speech_is_dropped() -> None:
    assert spans_of(windows(20, LEAST_VOICED - 1, 40)) == []
    assert len(spans_of(windows(20, LEAST_VOICED, 40))) == 1


def test_speech_without_a_pause_is_cut_at_the_limit() -> None:
    assert spans_of(windows(0, 1000)) == [Span(0, MOST, MOST), Span(MOST, 2 * MOST, MOST), Span(2 * MOST, 1000, 64)]


def test_long_speech_is_cut_in_the_middle_of_its_longest_late_pause() -> None:
    flags = windows(0, 100, 12, 188, 4, 50, 8, 200)  # the first and longest pause is too early to cut at
    assert spans_of(flags) == [Span(0, 358, 338), Span(359, 562, 200)]


def test_a_pause_shorter_than_a_tenth_of_a_second_is_no_place_to_cut() -> None:
    flags = windows(0, 300, SHORT_PAUSE - 1, 300)
    assert spans_of(flags)[0].end == MOST


def test_silence_has_no_span() -> None:
    assert spans_of([False] * 2000) == []


runs = st.lists(st.integers(1, 600), max_size=12).map(lambda lengths: windows(*lengths))
flickers = st.lists(st.booleans(), max_size=1500)


@given(st.one_of(runs, flickers))
def test_spans_are_bounded_in_order_and_apart(flags: list[bool]) -> None:
    spans = spans_of(flags)
    assert all(0 < span.end - span.start <= MOST for span in spans)
    assert all(span.voiced >= LEAST_VOICED for span in spans)
    assert all(span.voiced == sum(flags[span.start : span.end]) for span in spans)
    assert all(one.end <= other.start for one, other in pairwise(spans))
    assert not spans or spans[-1].end <= len(flags)


@given(st.one_of(runs, flickers))
def test_speech_is_lost_only_where_there_is_too_little_of_it(flags: list[bool]) -> None:
    covered = {window for span in spans_of(flags) for window in range(span.start, span.end)}
    lost = [window for window, flag in enumerate(flags) if flag and window not in covered]
    # What is lost in one place is less than a segment's least; places are apart by a pause or a cut.
    groups = [window for window, before in zip(lost, [-PAUSE - 1, *lost], strict=False) if window - before > PAUSE]
    assert len(lost) <= len(groups) * (LEAST_VOICED - 1)


@given(st.one_of(runs, flickers))
def test_no_span_begins_before_the_earliest_that_was_promised(flags: list[bool]) -> None:
    cutter = Cutter()
    promised = 0
    for flag in flags:
        span = cutter.push(voiced=flag)
        assert span is None or span.start >= promised
        assert cutter.earliest >= promised
        promised = cutter.earliest
    last = cutter.finish()
    assert last is None or last.start >= promised


def test_memory_of_a_span_is_bounded_by_the_promise() -> None:
    cutter = Cutter()
    for seen in range(5000):
        cutter.push(voiced=seen % 40 < 30)
        assert seen + 1 - cutter.earliest <= MOST + PADDING
