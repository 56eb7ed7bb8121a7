from collections.abc import Collection, Mapping
from types import SimpleNamespace
from typing import Any, Self

import pytest

from streamproc.analytics.agreement import agreement
from streamproc.analytics.emission import Published
from streamproc.analytics.history import Passed, Told
from streamproc.analytics.member import Member
from streamproc.analytics.partial import decode, terms
from streamproc.analytics.rebuild import _words, rebuild
from streamproc.analytics.tally import Tally
from streamproc.analytics.trend import build_trend, rule
from streamproc.analytics.view import View, Window
from streamproc.analytics.windows import calendar
from streamproc.errors import UsageError
from streamproc.records.record import TopicPartition
from streamproc.settings import AnalyticsSettings, Settings

SETTINGS = Settings(analytics=AnalyticsSettings(attributes=("agent",), alert_support=2))
HOUR_MS = 3_600_000


class Reader:
    """Values are rows already."""

    def read(self, value: Any) -> Any:
        return value


def row(number: int, label: str) -> Any:
    at = {"recorded_at": HOUR_MS + number, "produced_at": HOUR_MS + number}
    return {"result_id": f"r{number}", "label": label, "confidence": 0.5, "agent": None, **at}


ROWS = [row(number, label) for number, label in enumerate(("happy", "angry", "happy", "angry", "angry"))]


def owner(count: int) -> Member:
    """Has read so many rows."""
    member = Member(SETTINGS, Reader(), Reader())
    member.own([0])
    feed(member, count)
    return member


def feed(member: Member, count: int) -> None:
    for offset, value in enumerate(ROWS[:count]):
        member.take(SETTINGS.topics.results, 0, offset, value["produced_at"], value)


def rows_of(member: Member) -> Published:
    """What an app that read so far has written."""
    view, published = View(calendar(SETTINGS.analytics), terms(SETTINGS)), Published()
    for record in member.records():
        view.take(decode(record.key, record.value))
    for one in list(published.missing(view.windows_of(view.everything()), rule(SETTINGS.analytics), 1)):
        published.put(one)
    return published


class Past:
    """Three rows are there when it is read first, five when readers' rows are asked for, and as many later."""

    whole_from_ms = 0
    passed: tuple[object, ...] = ()

    def __init__(self, *_: object) -> None:
        self._there = 3
        self.rows = rows_of(owner(5))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    def partitions(self) -> range:
        return range(1)

    def member(self, partitions: Collection[int]) -> Member:
        assert list(partitions) == [0]
        return owner(0)

    def catch_up(self, member: Member) -> int:
        feed(member, self._there)
        return self._there

    def told(self) -> Told:
        return Told(None, {})

    def refuse_anew(self, read: Mapping[TopicPartition, int]) -> None:
        if read:
            raise UsageError("they are others")

    def published(self, _over_ms: int) -> Published:
        self._there = 5
        return self.rows


@pytest.fixture
def members(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """How many the app's group has."""
    found = SimpleNamespace(count=0)
    monkeypatch.setattr("streamproc.analytics.rebuild.History", Past)
    monkeypatch.setattr("streamproc.analytics.rebuild.check_retention", lambda _: None)
    monkeypatch.setattr("streamproc.analytics.rebuild.count_members", lambda *_: found.count)
    return found


@pytest.mark.usefixtures("members")
def test_what_the_app_wrote_meanwhile_is_no_difference() -> None:
    found = rebuild(SETTINGS, dry_run=True)
    assert (found.differing, found.windows, found.raised) == (0, 5, 1)


@pytest.mark.usefixtures("members")
def test_settings_that_the_app_did_not_have_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert rebuild(SETTINGS, dry_run=True).changed == ()
    for before, told in (
        (SETTINGS, ()),
        (
            Settings(analytics=AnalyticsSettings(attributes=("agent",), alert_support=3)),
            ("analytics.alert_support is 3 there and 2 here",),
        ),
    ):
        monkeypatch.setattr(Past, "told", lambda _, settings=before: Told(agreement(settings).agreed, {}))
        assert rebuild(SETTINGS, dry_run=True).changed == told


@pytest.mark.usefixtures("members")
def test_what_makes_its_answer_doubtful_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    app = SETTINGS.analytics.model_copy(update={"negative_labels": ("angry", "angri")})
    monkeypatch.setattr(Past, "passed", (Passed("trends", 2, 7, "no row", 3),))
    found = rebuild(SETTINGS.model_copy(update={"analytics": app}), dry_run=True)
    assert found.unknown_labels == ("angri",)
    (passed,) = found.passed
    assert passed.startswith("not rows of ours: 3 of trends, the first at offset 7 of partition 2: no row. Does ")


@pytest.mark.usefixtures("members")
@pytest.mark.parametrize("dry_run", [True, False])
def test_rows_of_topics_that_were_made_anew_are_compared_with_nothing(
    monkeypatch: pytest.MonkeyPatch,
    dry_run: bool,  # noqa: FBT001  # pytest's way
) -> None:
    """Of a day of trends it would say that nothing stands behind them, and empty them."""
    place = TopicPartition(SETTINGS.topics.results, 0)
    monkeypatch.setattr(Past, "told", lambda _: Told(None, {place: 9}))
    with pytest.raises(UsageError, match="they are others"):
        rebuild(SETTINGS, dry_run=dry_run)


@pytest.mark.usefixtures("members")
def test_windows_whose_rows_are_gone_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Past, "published", lambda *_: Published())
    assert rebuild(SETTINGS, dry_run=True).trends == 5
    monkeypatch.setattr(Past, "whole_from_ms", HOUR_MS)
    found = rebuild(SETTINGS, dry_run=True)
    assert (found.trends, found.windows, found.shortened) == (2, 2, 3)


@pytest.mark.usefixtures("members")
def test_rows_that_nothing_stands_behind_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Past, "catch_up", lambda *_: 0)
    found = rebuild(SETTINGS, dry_run=True)
    assert (found.windows, found.trends, found.alerts) == (0, 5, 1)


@pytest.mark.usefixtures("members")
@pytest.mark.parametrize(
    ("changed", "alerts", "raised"),
    [
        ({"alert_support": 6}, 1, 0),
        ({"alert_share": 0.9, "alert_clear_share": 0.5}, 0, 1),
        ({"alert_share": 0.9, "alert_clear_share": 0.9}, 1, 0),
    ],
)
def test_alerts_are_counted_as_readers_have_them_afterwards(changed: dict[str, Any], alerts: int, raised: int) -> None:
    """Three of five are negative, and the alert of that is raised: between the two shares it stays so."""
    app = SETTINGS.analytics.model_copy(update=changed)
    found = rebuild(SETTINGS.model_copy(update={"analytics": app}), dry_run=True)
    assert (found.trends, found.alerts, found.raised) == (0, alerts, raised)


@pytest.mark.usefixtures("members")
def test_the_first_rows_that_differ_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    less = rows_of(owner(4))
    monkeypatch.setattr(Past, "published", lambda *_: less)
    found = rebuild(SETTINGS, dry_run=True)
    assert len(found.examples) == min(5, found.differing)
    assert found.differing
    assert any("T0" in text and "results" in text and "readers have " in text for text in found.examples)


@pytest.mark.parametrize(("start", "told"), [(HOUR_MS, "T01:00+"), (HOUR_MS - 3000, "T00:59:57+")])
def test_a_window_that_begins_within_a_minute_is_named_to_the_second(start: int, told: str) -> None:
    trend = build_trend(Window("hopping", ("all", ""), start, start + 7000, Tally(1)), frozenset(), 0)
    assert f"hopping 7 s from 1970-01-01{told}00:00" in _words(trend, {})


@pytest.mark.parametrize(("count", "told"), [(1, "1 member"), (2, "2 members")])
def test_nobody_writes_beside_the_app(members: SimpleNamespace, count: int, told: str) -> None:
    members.count = count
    with pytest.raises(UsageError, match=rf"streamproc-analytics has {told}: stop the app"):
        rebuild(SETTINGS, dry_run=False)
    assert rebuild(SETTINGS, dry_run=True).differing == 0
