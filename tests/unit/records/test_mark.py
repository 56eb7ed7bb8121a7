import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamproc.records.mark import Mark, read_mark

NUMBER = st.integers(0, 2**63 - 1)
MARKS = st.builds(Mark, st.none() | NUMBER, NUMBER, NUMBER)


@given(MARKS)
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    assert read_mark(mark.text()) == mark
    assert len(mark.text().encode("ascii")) < 100


def test_the_text_is_what_other_versions_read() -> None:
    assert Mark(1234, 1, 2).text() == "sp1 open=1234 crashes=1 strikes=2"
    assert Mark().text() == "sp1 open=- crashes=0 strikes=0"


@given(st.text())
def test_what_others_wrote_says_nothing(text: str) -> None:
    assert read_mark(text) == Mark()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sp2 open=5 crashes=1 strikes=2",
        "sp1 open=5 crashes=1 strikes=2 ",
        "sp1 open=5 crashes=1 strikes=2\n",
        "sp1 open=-5 crashes=1 strikes=2",
        "sp1 open=5 crashes=-1 strikes=2",
        "sp1 open=٥ crashes=1 strikes=2",  # noqa: RUF001  # a digit, and not ours
        "sp1 open=5 crashes=1 strikes=" + "9" * 5000,
    ],
)
def test_a_damaged_mark_says_nothing(text: str) -> None:
    assert read_mark(text) == Mark()
