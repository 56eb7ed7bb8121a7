import threading
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from structlog.testing import capture_logs

from streamproc.analytics.agreement import Agreement
from streamproc.analytics.history import History, Taken, Told
from streamproc.analytics.member import Member
from streamproc.analytics.partial import Progress, encode_agreement, encode_progress, terms
from streamproc.analytics.tally import Tally
from streamproc.analytics.trend import build_alert, build_trend
from streamproc.analytics.view import Window
from streamproc.errors import PoisonError, Reason, Stage, UsageError
from streamproc.patience import StoppedError
from streamproc.records.alert import AlertState
from streamproc.records.record import TopicPartition
from streamproc.settings import Settings

SETTINGS = Settings()
TOPICS = SETTINGS.topics
HOUR_MS = 3_600_000


class Log:
    """Topics with rows that are given, each with its time; ``begins`` is what retention left."""

    def __init__(self, rows: Mapping[TopicPartition, list[tuple[int, Any]]], begins: int = 0) -> None:
        self._rows = rows
        self._begins = begins
        self.reads = 0

    def partitions(self, topic: str) -> list[TopicPartition]:
        found = sorted(place for place in self._rows if place.topic == topic)
        if not found:
            raise UsageError(f"there is no topic {topic}")
        return found

    def bounds(self, places: Iterable[TopicPartition]) -> Mapping[TopicPartition, range]:
        return {place: range(self._begins, len(self._rows[place])) for place in places}

    def at(self, places: Iterable[TopicPartition], at_ms: int) -> Mapping[TopicPartition, int]:
        return {place: sum(time < at_ms for time, _ in self._rows[place]) for place in places}

    def read(self, stretches: Mapping[TopicPartition, range], _take: object) -> Iterator[list[Taken]]:
        for place, stretch in stretches.items():
            for offset in stretch:
                self.reads += 1
                yield [(*place, offset, *self._rows[place][offset])]


class Reader:
    """Rows are read already."""

    def __init__(self, *_: object) -> None:
        """Nothing is asked for."""

    def read(self, value: Any) -> Any:
        return value


def history(
    monkeypatch: pytest.MonkeyPatch, log: Log, stopping: threading.Event | None = None, reader: type[Reader] = Reader
) -> History:
    monkeypatch.setattr("streamproc.analytics.history.Columns", reader)
    made = History(SETTINGS, stopping)
    monkeypatch.setattr(made, "_log", log)
    return made


def fields(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


def test_a_writer_reads_rows_of_live_windows_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    trends = [
        build_trend(Window("tumbling", ("all", ""), hour * HOUR_MS, (hour + 1) * HOUR_MS, Tally(1)), frozenset(), 0)
        for hour in range(100)
    ]
    alerts = [build_alert(trend, AlertState.RAISED, 0.5, 0) for trend in trends]
    log = Log(
        {
            TopicPartition(TOPICS.trends, 0): [(row.window_end, fields(row)) for row in trends],
            TopicPartition(TOPICS.alerts, 0): [(row.window_end, fields(row)) for row in alerts],
        }
    )
    with history(monkeypatch, log) as past:
        published = past.published(90 * HOUR_MS)
    assert {row.window_end // HOUR_MS for row in published.trends.values()} == set(range(91, 101))
    assert {row.window_end // HOUR_MS for row in published.alerts.values()} == set(range(91, 101))
    assert log.reads < 2 * 15


def rows(count: int) -> dict[TopicPartition, list[tuple[int, Any]]]:
    blank = {"result_id": "r", "recorded_at": None, "produced_at": None, "index": None, "start_ms": None}
    found = {TopicPartition(TOPICS.results, 0): [(at * 1000, blank) for at in range(count)]}
    return found | {TopicPartition(TOPICS.segments, 0): []}


def owner(live_from: Mapping[str, int] = MappingProxyType({}), read: int = 0) -> Member:
    """Takes over from one that had read so far of the results."""
    member = Member(SETTINGS, Reader(), Reader())
    member.own([0], {0: Progress(terms(SETTINGS), 0, 0, {}, live_from, {TOPICS.results: read})} if live_from else {})
    return member


def test_windows_that_lost_rows_to_retention_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with history(monkeypatch, Log(rows(9))) as past:
        assert past.catch_up(owner()) == 9
        assert past.whole_from_ms == 0
    with history(monkeypatch, Log(rows(9), begins=4)) as past:
        assert past.catch_up(owner({TOPICS.results: 6, TOPICS.segments: 0})) == 3
        assert past.whole_from_ms == 0  # what it was told to begin with is all that windows need
        assert past.catch_up(owner()) == 5
        assert past.whole_from_ms == 4000 + SETTINGS.analytics.ahead_s * 1000


def test_a_topic_that_is_not_there_or_has_other_partitions_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    there = rows(1) | {TopicPartition(name, 0): [] for name in (TOPICS.trends, TOPICS.alerts)}
    with history(monkeypatch, Log(there)) as past, pytest.raises(UsageError, match=r"no topic streamproc\.partials"):
        past.partitions()
    there[TopicPartition(TOPICS.partials, 0)] = []
    with history(monkeypatch, Log(there)) as past:
        assert list(past.partitions()) == [0]
    there[TopicPartition(TOPICS.segments, 1)] = []
    with history(monkeypatch, Log(there)) as past, pytest.raises(UsageError, match="same number of partitions"):
        past.partitions()


class Partials(Log):
    """Partials, of which somebody else's are no partials."""

    def read(self, stretches: Mapping[TopicPartition, range], _take: object) -> Any:
        for place, stretch in stretches.items():
            yield [(offset, *self._rows[place][offset]) for offset in stretch]


def test_what_the_group_agreed_on_last_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    others = [encode_agreement(Agreement("another", {"n": 3})), (b"junk", b"junk"), (None, None)]
    own = [encode_agreement(Agreement(SETTINGS.analytics.group, {"n": number})) for number in (1, 2)]
    for told, agreed in ((others, None), ([*own, *others], {"n": 2})):
        rows: Any = {TopicPartition(TOPICS.partials, 0): told}
        with history(monkeypatch, Partials(rows)) as past:
            assert past.told() == Told(agreed, {})


ANEW = r"ends at 3, but was read up to 9.*analytics\.group, topics\.partials, topics\.trends and topics\.alerts"


def test_topics_that_were_made_anew_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with history(monkeypatch, Log(rows(3))) as past, pytest.raises(UsageError, match=ANEW):
        past.catch_up(owner({TOPICS.results: 0}, read=9))


def test_who_reads_from_the_beginning_knows_topics_that_were_made_anew_by_what_was_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def told(terms: str, read: int, partition: int = 0) -> Any:
        return encode_progress(Progress(terms, partition, 0, {}, {}, {TOPICS.results: read, TOPICS.segments: 0}))

    own, place = terms(SETTINGS), TopicPartition(TOPICS.results, 0)
    there: Any = {TopicPartition(TOPICS.partials, 0): [told(own, 2), told("other settings", 99), told(own, 3)]}
    with history(monkeypatch, Partials(there | rows(3))) as past:
        found = past.told()
        assert found.read == {place: 3, TopicPartition(TOPICS.segments, 0): 0}
        past.refuse_anew(found.read)
        with pytest.raises(UsageError, match=ANEW):
            past.refuse_anew({place: 9})
        with pytest.raises(UsageError, match=r"results/1 ends at 0, but was read up to 1"):
            past.refuse_anew({TopicPartition(TOPICS.results, 1): 1})


def test_who_is_told_to_stop_reads_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping, log = threading.Event(), Log(rows(9))
    member = owner()
    take = member.take

    def stop(*row: Any) -> None:
        take(*row)
        stopping.set()

    monkeypatch.setattr(member, "take", stop)
    with history(monkeypatch, log, stopping) as past:
        with pytest.raises(StoppedError):
            past.catch_up(member)
        assert member.next(TOPICS.results, 0) == 1
        with pytest.raises(StoppedError):
            past.catch_up(member)


class Strict(Reader):
    """Bytes, and nothing at all, are no rows."""

    def read(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise PoisonError(Reason.AVRO_INVALID, Stage.ADMIT, "no row")
        return value


def test_what_is_no_row_ends_no_start_of_a_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tombstone is how a record of a compacted topic is deleted; anything else is another program's."""
    trend = build_trend(Window("tumbling", ("all", ""), 0, HOUR_MS, Tally(1)), frozenset(), 0)
    alert = build_alert(trend, AlertState.RAISED, 0.5, 0)
    log = Log(
        {
            TopicPartition(TOPICS.trends, 0): [(HOUR_MS, None), (HOUR_MS, fields(trend))],
            TopicPartition(TOPICS.alerts, 0): [(HOUR_MS, b"junk"), (HOUR_MS, None), (HOUR_MS, fields(alert))],
        }
    )
    with history(monkeypatch, log, reader=Strict) as past, capture_logs() as said:
        published = past.published(0)
    assert list(published.trends.values()) == [trend]
    assert list(published.alerts.values()) == [alert]
    assert [(line["event"], line["log_level"], line["topic"], line["count"]) for line in said] == [
        ("not rows of ours", "warning", TOPICS.trends, 1),
        ("not rows of ours", "warning", TOPICS.alerts, 2),
    ]
    assert (said[1]["partition"], said[1]["offset"]) == (0, 0)
    assert [one.count for one in past.passed] == [1, 2]
