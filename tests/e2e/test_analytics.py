"""The analytics app on a real Kafka: killed, joined by others, fed repeats, late and aborted rows."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from streamproc.local.stack import Stack
from streamproc.records.alert import EmotionAlert
from streamproc.records.trend import EmotionTrend
from streamproc.settings import Settings
from streamproc.wiring import prepare
from tests.e2e.analysed import App, of_its_own, settled, shake
from tests.e2e.conversations import Conversations, differences, read_topic
from tests.e2e.relay import Relay
from tests.e2e.test_faults import without
from tests.e2e.workers import PATIENCE_S, until

RESULTS = 2000
"""Of the test that kills; ``python -m tools.analytics`` does it with 100,000."""


@pytest.fixture
def analysed(own: Settings, request: pytest.FixtureRequest) -> Settings:
    """Topics and a group that nobody else uses."""
    settings = of_its_own(own, own.kafka.group, **getattr(request, "param", {}))
    prepare(settings)
    return settings


@pytest.fixture
def apps(analysed: Settings, tmp_path: Path) -> Iterator[tuple[App, App]]:
    made = App(analysed, tmp_path, "first"), App(analysed, tmp_path, "second")
    yield made
    for app in made:
        app.stop()


def last_of(settings: Settings, topic: str, kind: type[Any]) -> dict[str, Mapping[str, Any]]:
    """The last row of each window, as readers have it."""
    return {row["trend_id"]: row for _, row in read_topic(settings, topic, kind)}


def exact(app: App) -> bool:
    """Whether it owns everything, and a rebuild finds nothing to correct."""
    return app.owns() == 4 and app.rebuild()["differing"] == 0


@pytest.mark.timeout(6 * PATIENCE_S)
@pytest.mark.parametrize(
    ("analysed", "hours"),
    [pytest.param({}, 4, id="no-window-is-over"), pytest.param({"retention_s": 3600}, 8, id="windows-are-over")],
    indirect=["analysed"],
)
def test_windows_are_exact_through_kills_and_rebalances(
    analysed: Settings, apps: tuple[App, App], hours: float
) -> None:
    first, second = apps
    shake(Conversations(analysed, seed=1, total=RESULTS, hours=hours), first, second, PATIENCE_S)
    settled(analysed, PATIENCE_S, second)
    found = second.rebuild()
    assert found["differing"] == 0
    assert found["windows"] > 300
    assert found["raised"] > 0
    late = {"late"} if hours > 4 else set()
    assert {"ahead", "repeated"} | late <= found["left_out"].keys()
    windows = second.ask("/api/windows?attribute=agent")
    assert windows[0]["results"] > 0
    assert second.stop() == 0


def test_a_writer_that_was_paused_takes_back_what_another_one_raised(analysed: Settings, apps: tuple[App, App]) -> None:
    """Between the two shares an alert is what readers have: who comes back has not written it."""
    first, second = apps
    calls = Conversations(analysed, seed=9, total=1)

    def zed(topic: str, kind: type[Any]) -> Mapping[str, Any]:
        found = last_of(analysed, topic, kind).values()
        return next((row for row in found if (row["value"], row["window_kind"]) == ("zed", "tumbling")), {})

    def alert(state: str) -> bool:
        return bool(zed(analysed.topics.alerts, EmotionAlert).get("state") == state)

    def told() -> str:
        return first.tail() + second.tail()

    first.start()
    until(lambda: first.owns() == 4, PATIENCE_S, told)
    second.start()
    until(lambda: first.owns() == second.owns() == 2, PATIENCE_S, told)
    before = {app: len(app.lines("trends written")) for app in apps}
    calls.add("zed", "happy", 10)
    until(lambda: any(len(app.lines("trends written")) > before[app] for app in apps), PATIENCE_S, told)
    writer = max(apps, key=lambda app: len(app.lines("trends written")) - before[app])
    other = second if writer is first else first
    with writer.paused():
        until(lambda: other.owns() == 4, PATIENCE_S, told)
        calls.add("zed", "angry", 20)
        until(lambda: alert("raised"), PATIENCE_S, told)
        calls.add("zed", "happy", 16)
        until(lambda: zed(analysed.topics.trends, EmotionTrend)["results"] == 46, PATIENCE_S, told)
    until(lambda: first.owns() == second.owns() == 2, PATIENCE_S, told)
    calls.add("zed", "happy", 14)
    until(lambda: alert("cleared"), PATIENCE_S, told)


@pytest.mark.parametrize("written", ["before it starts", "while it runs"])
def test_a_process_that_waits_for_the_registry_ends_when_it_is_told_to(
    analysed: Settings, apps: tuple[App, App], written: str
) -> None:
    """What was written before is read while rows wait for their turn; a row that comes later is waited with."""
    app, calls = apps[0], Conversations(analysed, seed=6, total=100)
    with Relay(analysed.registry.url, without="/schemas/ids/") as relay:
        app.environment["STREAMPROC_REGISTRY__URL"] = relay.url
        if written == "before it starts":
            calls.write(100)
            app.start()
        else:
            app.start()
            until(lambda: app.owns() == 4, PATIENCE_S, app.tail)
            calls.write(100)
        until(lambda: bool(app.lines("waiting for a server")), PATIENCE_S, app.tail)
        assert app.stop(30) == 0


@pytest.mark.parametrize("together", [False, True], ids=["one after the other", "at once"])
def test_a_process_with_other_settings_is_refused(analysed: Settings, apps: tuple[App, App], together: bool) -> None:  # noqa: FBT001  # pytest's way
    """It would write sums of its own over those of the others, each time that a setting is changed."""
    first, second = apps
    second.environment["STREAMPROC_ANALYTICS__NEGATIVE_LABELS"] = '["happy"]'
    calls = Conversations(analysed, seed=7, total=200)
    calls.write(200)
    first.start()
    if together:
        second.start()
        until(lambda: bool(first.owns() or second.owns()), PATIENCE_S, lambda: first.tail() + second.tail())
        if second.owns():
            first, second = second, first
    else:
        settled(analysed, PATIENCE_S, first)
        second.start()
    assert second.wait() == 2
    (line,) = second.lines("analytics ended")
    assert line["error"] == "UsageError"
    assert second.lines("the group ran last with other settings") == []  # which would be the same said twice
    assert "analytics.negative_labels is [" in line["detail"]
    assert '["happy"]' in line["detail"]
    assert "stop all processes of the group" in line["detail"]
    until(partial(exact, first), PATIENCE_S, first.tail)
    assert second.lines("trends written") == []
    assert first.stop() == 0
    second.start()
    until(partial(exact, second), PATIENCE_S, second.tail)


def test_after_a_change_of_settings_a_start_alone_puts_everything_right(
    analysed: Settings, apps: tuple[App, App]
) -> None:
    """There and back: what was told with the first settings is still on the topics when they are taken again."""
    first, second = apps
    second.environment |= {"STREAMPROC_ANALYTICS__TUMBLING_S": "600", "STREAMPROC_ANALYTICS__ATTRIBUTES": '["queue"]'}
    calls = Conversations(analysed, seed=9, total=300)
    for app in (first, second, first):
        calls.write(100)
        app.start()
        until(partial(exact, app), PATIENCE_S, app.tail)
        assert app.stop() == 0
    (said,) = first.lines("the group ran last with other settings")
    assert "analytics.tumbling_s is 600 there and 3600 here" in said["detail"]
    assert first.lines("rows that nothing stands behind are emptied")
    trends = last_of(analysed, analysed.topics.trends, EmotionTrend)
    there = {name for name, row in trends.items() if row["results"]}
    others = {n for n, row in trends.items() if row["window_end"] - row["window_start"] == timedelta(seconds=600)}
    assert others
    assert not others & there
    alerts = last_of(analysed, analysed.topics.alerts, EmotionAlert)
    assert {name for name, row in alerts.items() if row["state"] == "raised"} <= there


def test_what_is_computed_does_not_depend_on_committed_offsets(analysed: Settings, apps: tuple[App, App]) -> None:
    """Faust may commit past what was not taken (its issue 606); here nothing was taken and everything is committed."""
    Conversations(analysed, seed=2, total=300).write(300)
    group = {"bootstrap.servers": analysed.kafka.bootstrap_servers, "group.id": analysed.analytics.group}
    consumer = Consumer(group)
    places = [TopicPartition(t, p) for t in (analysed.topics.results, analysed.topics.segments) for p in range(4)]
    ends = [consumer.get_watermark_offsets(place, timeout=60)[1] for place in places]
    consumer.commit(
        offsets=[TopicPartition(p.topic, p.partition, end) for p, end in zip(places, ends, strict=True)],
        asynchronous=False,
    )
    assert [place.offset for place in consumer.committed(places, timeout=60)] == ends
    consumer.close()
    apps[0].start()
    settled(analysed, PATIENCE_S, apps[0])


@pytest.mark.parametrize("analysed", [{"retention_s": 3600}], indirect=True)
def test_a_takeover_reads_what_windows_need_and_no_more(analysed: Settings, apps: tuple[App, App]) -> None:
    Conversations(analysed, seed=5, total=1200, hours=8).write(1200)
    rows = []
    for app in apps:
        app.start()
        until(partial(exact, app), PATIENCE_S, app.tail)
        assert app.stop() == 0
        rows.append(app.lines("partitions read")[-1]["records"])
    assert rows[1] < 0.6 * rows[0]


def test_a_rebuild_writes_what_is_missing(analysed: Settings, apps: tuple[App, App]) -> None:
    Conversations(analysed, seed=3, total=200).write(200)
    assert apps[0].rebuild()["trends"] > 0
    process = apps[0].run(subprocess.PIPE, "rebuild", "--json")
    assert json.loads(process.communicate(timeout=PATIENCE_S)[0])["written"]
    assert differences(analysed) == []
    assert apps[0].rebuild()["differing"] == 0


def test_results_that_were_made_anew_are_refused_before_rows_of_readers_are_emptied(
    analysed: Settings, apps: tuple[App, App]
) -> None:
    """All windows are live: whoever takes over begins with the first row, and sees it by how far others had read."""
    app, topics = apps[0], analysed.topics
    Conversations(analysed, seed=10, total=200).write(200)
    app.start()
    until(partial(exact, app), PATIENCE_S, app.tail)
    assert app.stop() == 0
    rows = last_of(analysed, topics.trends, EmotionTrend)
    admin = AdminClient({"bootstrap.servers": analysed.kafka.bootstrap_servers})
    for future in admin.delete_topics([topics.results, topics.segments]).values():
        future.result(PATIENCE_S)
    gone = {topics.results, topics.segments}
    until(lambda: not gone & set(admin.list_topics(timeout=PATIENCE_S).topics), PATIENCE_S, lambda: "topics are there")
    prepare(analysed)
    Conversations(analysed, seed=11, total=20).write(20)
    process = app.run(subprocess.PIPE, "rebuild")
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "was the topic made anew?" in app.tail()
    app.start()
    assert app.wait() == 2
    (line,) = app.lines("analytics ended")
    assert "was the topic made anew?" in line["detail"]
    assert "Traceback" not in app.tail()
    assert last_of(analysed, topics.trends, EmotionTrend) == rows


def test_aborted_rows_do_not_count(analysed: Settings, apps: tuple[App, App]) -> None:
    """Faust reads them by itself, while its app is not transactional."""
    apps[0].start()
    until(lambda: apps[0].owns() == 4, PATIENCE_S, apps[0].tail)
    calls = Conversations(analysed, seed=4, total=400, aborts=0.5)
    calls.write(400, transaction=20)
    assert calls.aborted > 5
    settled(analysed, PATIENCE_S, apps[0])


def test_a_process_leaves_nothing_behind_and_says_what_it_cannot_have(
    analysed: Settings, apps: tuple[App, App], tmp_path: Path
) -> None:
    first, second = apps
    admin = AdminClient({"bootstrap.servers": analysed.kafka.bootstrap_servers})
    before = set(admin.list_topics(timeout=PATIENCE_S).topics)
    first.start()
    until(lambda: first.owns() == 4, PATIENCE_S, first.tail)
    process = second.run(subprocess.PIPE, "rebuild")
    process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "has 1 member: stop the app" in second.tail()
    second.environment["STREAMPROC_ANALYTICS__PORT"] = first.lines("analytics starts")[0]["url"].rpartition(":")[2]
    second.start()
    assert second.wait() == 2
    assert "Set STREAMPROC_ANALYTICS__PORT to a free port" in second.tail()
    assert first.stop() == 0
    assert {path.name for path in tmp_path.iterdir()} == {"first.log", "second.log"}
    assert set(admin.list_topics(timeout=PATIENCE_S).topics) - before <= {"__consumer_offsets"}


def test_a_process_ends_soon_without_kafka_and_is_not_well_then(
    stack: Stack, analysed: Settings, apps: tuple[App, App]
) -> None:
    """Where Kubernetes gives 30 s; Faust and its client would take a minute or two. The last: it takes Kafka away."""
    app = apps[0]
    Conversations(analysed, seed=8, total=100).write(100)
    app.start()
    until(partial(exact, app), PATIENCE_S, app.tail)
    with without(stack, "kafka"):
        until(lambda: bool(app.lines("waiting for a server")), PATIENCE_S, app.tail)
        assert app.ask("/healthz")["ok"]
        until(lambda: app.figure("streamproc_analytics_told_age_seconds") > 10, PATIENCE_S, app.tail)  # though idle
        assert app.stop(25) == 0
    app.start()
    until(partial(exact, app), PATIENCE_S, app.tail)
