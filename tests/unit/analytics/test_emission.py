from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from streamproc.analytics.emission import Published
from streamproc.analytics.trend import Rule
from streamproc.analytics.view import View
from streamproc.records.alert import EmotionAlert
from streamproc.records.trend import EmotionTrend
from tests.unit.analytics.rows import CALENDAR, TERMS, Read, empty, fold_all, put, reads, result, tell

RULE = Rule(frozenset({"angry"}), share=0.5, support=2, clear_share=0.5)


def emit(view: View, published: Published, now_ms: int = 0, rule: Rule = RULE) -> list[EmotionTrend | EmotionAlert]:
    rows = list(published.missing(view.windows_of(view.changes()), rule, now_ms))
    for row in rows:
        published.put(row)
    return rows


def alerts(rows: list[Any]) -> list[tuple[str, str, int, float]]:
    return [(r.value, r.state, r.support, r.negative_share) for r in rows if isinstance(r, EmotionAlert)]


@given(reads(), st.lists(st.integers(0, 40)))
def test_readers_end_with_the_same_rows_however_often_they_were_written(rows: list[Read], stops: list[int]) -> None:
    folds, view, published = fold_all([]), View(CALENDAR, TERMS), Published()
    for number, read in enumerate(rows):
        put(folds[read.partition], read.row)
        if number in stops:
            tell(view, folds)
            emit(view, published)
    tell(view, folds)
    emit(view, published)
    whole, once = View(CALENDAR, TERMS), Published()
    tell(whole, fold_all(rows))
    emit(whole, once)
    assert {name: published.trends[name] for name in once.trends} == once.trends
    raised = {name for name, row in published.alerts.items() if row.state == "raised"}
    assert raised & once.trends.keys() == {name for name, row in once.alerts.items() if row.state == "raised"}


def test_nothing_is_written_twice_and_a_new_writer_writes_what_is_missing() -> None:
    fold, view, published = empty(), View(CALENDAR, TERMS), Published()
    fold.result(result(1, 1000))
    tell(view, {0: fold})
    assert len(emit(view, published)) == 2 * (1 + 3)  # the tumbling window and three that overlap, of two keys
    view = View(CALENDAR, TERMS)
    fold.tell_all()
    fold.result(result(2, 70_000))
    tell(view, {0: fold})
    assert {row.window_start for row in emit(view, published, now_ms=9)} == {20_000, 40_000, 60_000}


def test_an_alert_is_cleared_under_a_lower_share_than_the_one_that_raises_it() -> None:
    fold, view, published = empty(), View(CALENDAR, TERMS), Published()
    rule = Rule(frozenset({"angry"}), share=0.5, support=20, clear_share=0.4)
    told = []
    for number in range(60):
        fold.result(result(number, 1000, label="angry" if number % 2 else "happy"))
        tell(view, {0: fold})
        told += alerts(emit(view, published, rule=rule))
    assert [(name, state) for name, state, *_ in told] == [("a", "raised"), ("", "raised")]
    told.clear()
    for number in range(60, 90):
        fold.result(result(number, 1000, label="happy"))
        tell(view, {0: fold})
        told += alerts(emit(view, published, rule=rule))
    assert [(state, support, 0.39 < share < 0.4) for _, state, support, share in told] == [("cleared", 76, True)] * 2


def test_an_alert_with_less_support_than_it_takes_now_is_taken_back_and_raised_again() -> None:
    """As after a change of the setting: whoever reads the rows would else have alerts that nobody would raise."""
    fold, view, published = empty(), View(CALENDAR, TERMS), Published()
    for number in range(20):
        fold.result(result(number, 1000))
    tell(view, {0: fold})
    everything = view.windows_of(view.everything())
    told = []
    for support in (20, 21, 20):
        rule = replace(RULE, support=support)
        rows = list(published.missing(everything, rule, 0))
        told.append(sorted({row.state for row in rows if isinstance(row, EmotionAlert)}))
        for row in rows:
            published.put(row)
    assert told == [["raised"], ["cleared"], ["raised"]]


def test_what_nothing_stands_behind_is_emptied_and_its_alert_cleared() -> None:
    fold, view, published = empty(), View(CALENDAR, TERMS), Published()
    for number in range(2):
        fold.result(result(number, 1000))
    tell(view, {0: fold})
    rows = emit(view, published)
    trends = {row.trend_id for row in rows if isinstance(row, EmotionTrend)}
    there = {row.trend_id for row in rows if isinstance(row, EmotionTrend) and row.value == ""}
    assert list(published.excess(trends, RULE, 9)) == []
    found = list(published.excess(there, RULE, 9))
    assert {(row.trend_id, row.results, row.negative_share) for row in found if isinstance(row, EmotionTrend)} == {
        (name, 0, None) for name in trends - there
    }
    assert alerts(found) == [("a", "cleared", 0, 0.0)]
    for row in found:
        published.put(row)
    assert list(published.excess(there, RULE, 9)) == []


def test_an_alert_takes_support_and_is_cleared_by_later_results() -> None:
    fold, view, published = empty(), View(CALENDAR, TERMS), Published()
    fold.result(result(1, 1000, label="angry"))
    tell(view, {0: fold})
    assert alerts(emit(view, published)) == []
    fold.result(result(2, 2000, agent="b", label="happy"))
    tell(view, {0: fold})
    assert alerts(emit(view, published)) == [("", "raised", 2, 0.5)]
    fold.result(result(3, 70_000, label="happy"))
    fold.result(result(4, 3000, label=None))
    tell(view, {0: fold})
    assert alerts(emit(view, published)) == []
    fold.result(result(5, 3000, agent="b", label="happy"))
    tell(view, {0: fold})
    (cleared,) = alerts(emit(view, published))
    assert cleared[:3] == ("", "cleared", 3)


def test_labels_without_a_column_are_counted() -> None:
    fold, view, published = empty(), View(CALENDAR, TERMS), Published()
    fold.result(result(1, 1000, label="bored"))
    tell(view, {0: fold})
    trend = emit(view, published)[0]
    assert isinstance(trend, EmotionTrend)
    assert (trend.counts_json, trend.labelled, trend.negative_share) == ('{"bored": 1}', 1, 0.0)
    assert (trend.mean_confidence, trend.mean_change) == (0.5, None)


def test_what_is_long_over_is_forgotten() -> None:
    fold, view, published = empty(), View(CALENDAR, TERMS), Published()
    fold.result(result(1, 1000))
    tell(view, {0: fold})
    emit(view, published)
    published.forget(60_000)
    assert {row.window_end for row in published.trends.values()} == set()
