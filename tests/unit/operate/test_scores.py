from hypothesis import given
from hypothesis import strategies as st

from streamproc.operate.scores import GLYPHS, STYLES, bar, style
from streamproc.records.result import SCORE_COLUMNS

SCORES = st.dictionaries(st.sampled_from(SCORE_COLUMNS), st.floats(0, 1), min_size=1)


def test_every_column_has_its_own_glyph_and_a_colour() -> None:
    assert set(GLYPHS) == set(STYLES) == set(SCORE_COLUMNS)
    assert len(set(GLYPHS.values())) == len(GLYPHS)


@given(SCORES, st.integers(1, 40))
def test_a_bar_is_full_unless_there_is_nothing_to_share(scores: dict[str, float], width: int) -> None:
    assert len(bar(scores, width)) == (width if sum(scores.values()) else 0)


@given(SCORES)
def test_a_share_is_off_by_less_than_a_cell(scores: dict[str, float]) -> None:
    total = sum(scores.values())
    drawn = bar(scores, 20)
    if total:
        for label, score in scores.items():
            assert abs(drawn.count(GLYPHS[label]) - 20 * score / total) < 1 + 1e-9


def test_the_largest_stands_first() -> None:
    assert bar({"sad": 0.3, "angry": 0.7}, 10) == "aaaaaaasss"


def test_no_scores_no_bar() -> None:
    assert bar({}, 10) == ""


def test_a_label_of_another_model_is_drawn_too() -> None:
    assert bar({"bored": 1.0}, 3) == "+++"
    assert style("+") == STYLES["other"]
