import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.analytics.windows import calendar
from streamproc.settings import AnalyticsSettings

SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 6))


@given(SIZES, st.integers(0, 10**9))
def test_a_moment_lies_in_the_windows_that_contain_it(sizes: tuple[int, int, int], at_ms: int) -> None:
    tumbling_s, hop_s, hops = sizes
    made = calendar(AnalyticsSettings(tumbling_s=tumbling_s, hopping_s=hop_s * hops, hop_s=hop_s))
    for windows in made.windows:
        starts = list(windows.over(at_ms))
        first = at_ms - windows.size_ms + 1
        assert starts == [start for start in range(first, at_ms + 1) if start % windows.hop_ms == 0]
        assert windows.current(at_ms) == starts[0]
        for start in starts:
            assert made.bucket(at_ms) in made.buckets(windows, start)
            assert made.buckets(windows, start)[-1] + made.bucket_ms == start + windows.size_ms


@pytest.mark.parametrize(("late_s", "live"), [(159, True), (160, False)])
def test_a_window_lives_until_its_retention_is_over(late_s: int, live: bool) -> None:  # noqa: FBT001  # a case, no switch
    made = calendar(AnalyticsSettings(tumbling_s=60, hopping_s=60, hop_s=20, retention_s=100))
    assert made.live(made.windows[0], 0, late_s * 1000) is live
    assert made.kept_until(0) == 160_000
