import json
import time
from types import SimpleNamespace
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
from prometheus_client.parser import text_string_to_metric_families

from streamproc.analytics.api import Api
from streamproc.analytics.desk import Desk
from streamproc.analytics.figures import Figures, registry_of
from streamproc.analytics.fold import Fold
from streamproc.analytics.metrics import METRICS
from streamproc.analytics.openapi import description
from streamproc.analytics.partial import Partial, Place, Progress, terms
from streamproc.analytics.rows import RowCodec
from streamproc.analytics.view import LEFT_OUT
from streamproc.analytics.windows import calendar
from streamproc.kafka.publisher import Publisher
from streamproc.records.alert import alert_id
from streamproc.records.trend import trend_id
from streamproc.settings import AnalyticsSettings, Settings
from streamproc.telemetry.clock import SystemClock
from tests.unit.analytics.rows import result

HOUR_MS = 3_600_000
SETTINGS = Settings(analytics=AnalyticsSettings(alert_support=2))
HOSTILE = '</script><b>"agent'


@pytest.fixture
def api() -> Api:
    """Two hours: a turns from happy to angry, b the other way, a hostile one is new, and of c nothing is labelled."""
    desk = Desk(SETTINGS, Publisher(SETTINGS), RowCodec("t", "a", 1, 2), lambda: None)
    fold = Fold(calendar(SETTINGS.analytics), 0, 100)
    for number in range(8):
        hour, agent = number % 2, "ab"[number // 2 % 2]
        label = "angry" if (agent == "a") == (hour == 1) else "happy"
        fold.result(result(number, hour * HOUR_MS + number, agent, label))
    fold.result(result(0, 0, "a", "happy"))
    fold.result(result(9, HOUR_MS, HOSTILE, "angry"))
    for number in (20, 21):
        fold.result(result(number, (number - 20) * HOUR_MS, "c", None))
    agreed = terms(SETTINGS)
    for key, start, tally in fold.changes():
        desk.view.take(Partial(Place(agreed, 0, key, start), tally))
    desk.view.take(Progress(agreed, 0, fold.watermark, dict(fold.left_out)))
    desk.refresh()
    feed: Any = SimpleNamespace(rows=17, partitions=4, told_at=time.monotonic() - 60)
    return Api(SETTINGS, desk, lambda: True, registry_of(Figures(feed, desk, lambda: True)), SystemClock())


def ask(api: Api, path: str, query: str = "", method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    told: dict[str, Any] = {}

    def start(status: str, headers: list[tuple[str, str]], *_: object) -> Any:
        told.update(status=int(status.split(maxsplit=1)[0]), headers=dict(headers))

    environ: dict[str, Any] = {}
    setup_testing_defaults(environ)
    environ |= {"PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": method}
    body = b"".join(api(environ, start))
    return told["status"], told["headers"], body


def rows(api: Api, path: str, query: str = "") -> Any:
    status, _, body = ask(api, path, query)
    assert status == 200, body
    return json.loads(body)


def test_current_windows_come_most_negative_first_and_those_without_support_last(api: Api) -> None:
    found = rows(api, "/api/windows", "attribute=agent")
    assert [(row["value"], row["negative_share"]) for row in found] == [
        ("a", 1.0),
        ("b", 0.0),
        (HOSTILE, 1.0),
        ("c", None),
    ]
    assert {row["window_start"] for row in found} == {HOUR_MS}
    assert found[0]["counts"] == {"angry": 2}


def test_a_series_has_each_window_in_order(api: Api) -> None:
    assert [row["results"] for row in rows(api, "/api/series")] == [5, 6]
    starts = [row["window_start"] for row in rows(api, "/api/series", "kind=hopping&attribute=agent&value=b")]
    assert starts == sorted(starts)
    assert len(starts) == 8


def test_the_state_says_which_windows_are_current(api: Api) -> None:
    state = rows(api, "/api/state")
    schema = rows(api, "/openapi.json")["components"]["schemas"]["Windows"]
    assert all(set(windows) == set(schema["properties"]) for windows in state["windows"])
    for windows in state["windows"]:
        current = rows(api, "/api/windows", f"kind={windows['kind']}")[0]
        assert (current["window_start"], current["window_end"]) == (windows["window_start"], windows["window_end"])
        assert windows["window_end"] - windows["window_start"] == windows["size_ms"]
    assert [(windows["kind"], windows["hop_ms"]) for windows in state["windows"]] == [
        ("tumbling", HOUR_MS),
        ("hopping", HOUR_MS // 4),
    ]


@pytest.mark.parametrize(("minutes", "hour"), [(30, 0), (59, 0), (60, 1), (300, 1)])
def test_no_window_is_current_that_begins_later_than_now(
    api: Api, monkeypatch: pytest.MonkeyPatch, minutes: int, hour: int
) -> None:
    """The second hour is of a host whose clock is fast, until its time has come."""
    monkeypatch.setattr(api._query._clock, "wall_ms", lambda: minutes * 60_000)
    (tumbling, _) = rows(api, "/api/state")["windows"]
    assert tumbling["window_start"] == hour * HOUR_MS
    assert {row["window_start"] for row in rows(api, "/api/windows", "attribute=agent")} == {hour * HOUR_MS}
    assert [row["share_change"] for row in rows(api, "/api/movers", "attribute=agent")] == [1.0, -1.0] * hour


def test_movers_need_support_in_both_windows(api: Api) -> None:
    found = rows(api, "/api/movers", "attribute=agent")
    assert [(row["value"], row["share_change"]) for row in found] == [("a", 1.0), ("b", -1.0)]
    assert len(rows(api, "/api/movers", "attribute=agent&most=1")) == 1


def test_every_list_has_an_end(api: Api) -> None:
    for path in ("windows", "series", "movers", "alerts"):
        assert len(rows(api, f"/api/{path}", "attribute=agent&value=a&most=1")) == 1, path


def test_what_many_ask_is_found_once_a_turn(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    before = ask(api, "/api/windows")
    looks: list[str] = []

    def look(kind: str, *_: object) -> list[object]:
        looks.append(kind)
        return []

    monkeypatch.setattr(api._query, "windows", look)
    assert ask(api, "/api/windows") == before
    assert looks == []
    api._desk.refresh()
    assert rows(api, "/api/windows") == rows(api, "/api/windows") == []
    assert looks == ["tumbling"]


def test_alerts_are_the_windows_that_are_alarming(api: Api) -> None:
    found = [(row["attribute"], row["value"], row["window_start"]) for row in rows(api, "/api/alerts")]
    assert found == [("agent", "a", HOUR_MS), ("all", "", HOUR_MS), ("agent", "b", 0), ("all", "", 0)]


@pytest.mark.parametrize(
    "query",
    [
        "kind=sliding",
        "attribute=agent&most=0",
        "attribute=agent&most=x",
        "attribute=agent&most=0000010000000",
        f"attribute=agent&most=1{'0' * 5000}",
    ],
)
def test_a_parameter_that_cannot_be_is_told(api: Api, query: str) -> None:
    status, _, body = ask(api, "/api/movers", query)
    assert status == 400
    assert json.loads(body)["error"]


def test_the_description_is_what_is_answered(api: Api) -> None:
    document = rows(api, "/openapi.json")
    assert document == json.loads(json.dumps(description()))
    schemas = document["components"]["schemas"]
    for path, told in document["paths"].items():
        ((kind, content),) = told["get"]["responses"]["200"]["content"].items()
        if path in {"/", "/metrics", "/openapi.json"}:
            assert ask(api, path)[1]["Content-Type"].startswith(kind)
            continue
        answer = rows(api, path, "attribute=agent&value=a")
        schema = content["schema"]
        names = schema.get("$ref") or schema["items"]["$ref"]
        for row in answer if isinstance(answer, list) else [answer]:
            assert set(row) == set(schemas[names.rpartition("/")[2]]["properties"]), path


def test_the_description_and_a_path_that_is_not_there_name_every_path(api: Api) -> None:
    status, _, body = ask(api, "/api/nothing")
    assert status == 404
    described = rows(api, "/openapi.json")["paths"]
    assert set(json.loads(body)["error"].removeprefix("there is ").split(", ")) == set(described)
    for path in described:
        assert ask(api, path, "attribute=agent&value=a")[0] == 200, path


def test_what_can_be_asked_for_is_known_before_there_is_any_of_it(api: Api) -> None:
    assert rows(api, "/api/state")["attributes"] == ["all", "agent", "queue", "tenant"]
    assert rows(api, "/api/windows", "attribute=queue") == []


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("attribute=agnet", "attribute is one of all, agent, queue, tenant"),
        ("attribute=", "attribute is one of all, agent, queue, tenant"),
        ("attribute=language", "attribute is one of all, agent, queue, tenant"),
        ("attribute=agent&mots=3", "there is no parameter mots, but "),
        ("attribute=agent&attribute=queue", "attribute is there twice"),
    ],
)
@pytest.mark.parametrize("path", ["windows", "series", "movers", "alerts"])
def test_what_cannot_be_asked_for_is_told(api: Api, path: str, query: str, told: str) -> None:
    status, _, body = ask(api, f"/api/{path}", query)
    assert status == 400
    assert told in json.loads(body)["error"]


def test_without_an_attribute_each_list_is_of_all_results_but_alerts_are_of_every_attribute(api: Api) -> None:
    for path in ("windows", "series", "movers"):
        assert rows(api, f"/api/{path}") == rows(api, f"/api/{path}", "attribute=all"), path
    assert [row["value"] for row in rows(api, "/api/movers")] == [""]
    assert {row["attribute"] for row in rows(api, "/api/alerts")} == {"all", "agent"}


def test_a_series_is_of_one_value(api: Api) -> None:
    status, _, body = ask(api, "/api/series", "attribute=agent")
    assert (status, json.loads(body)["error"]) == (400, "value is missing: add &value= one value of agent")
    assert rows(api, "/api/series", "attribute=agent&value=") == []
    assert rows(api, "/api/series", "attribute=all") == rows(api, "/api/series")
    status, _, body = ask(api, "/api/series", "value=b")
    assert (status, json.loads(body)["error"].partition(":")[0]) == (400, "all results together have no values")


def test_one_value_can_be_asked_for(api: Api) -> None:
    for path in ("windows", "movers"):
        assert [row["value"] for row in rows(api, f"/api/{path}", "attribute=agent&value=b")] == ["b"], path


def test_alerts_can_be_asked_for_by_attribute_and_have_the_ids_of_their_rows(api: Api) -> None:
    found = rows(api, "/api/alerts", "attribute=agent")
    assert [row["value"] for row in found] == ["a", "b"]
    assert [row["value"] for row in rows(api, "/api/alerts", "attribute=agent&value=b")] == ["b"]
    assert len(rows(api, "/api/alerts", "attribute=agent&most=1")) == 1
    trend = trend_id("tumbling", HOUR_MS, ("agent", "a"), HOUR_MS)
    assert (found[0]["trend_id"], found[0]["alert_id"]) == (trend, alert_id(trend))


@pytest.mark.parametrize("path", ["/", "/page.js", "/page.chart.js", "/page.parts.js", "/page.tables.js", "/page.css"])
def test_the_page_loads_nothing_from_elsewhere(api: Api, path: str) -> None:
    status, headers, body = ask(api, path)
    assert status == 200
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert b"//" not in body.replace(b"http://www.w3.org/2000/svg", b"")
    assert b"innerHTML" not in body  # values of rows are text, never markup


def test_what_it_is_operated_by(api: Api) -> None:
    status, headers, body = ask(api, "/metrics")
    assert (status, headers["Content-Type"].partition(";")[0]) == (200, "text/plain")
    lines = body.decode().splitlines()
    said = {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}
    assert said.pop("streamproc_analytics_watermark_age_seconds") > 1_000_000
    assert 60 <= said.pop("streamproc_analytics_told_age_seconds") < 120
    assert said == {
        "streamproc_analytics_rows_total": 17,
        "streamproc_analytics_partitions": 4,
        "streamproc_analytics_ready": 1,
        **{f'streamproc_analytics_left_out{{why="{why}"}}': 0 for why in LEFT_OUT if why != "repeated"},
        'streamproc_analytics_left_out{why="repeated"}': 1,
    }


@pytest.mark.parametrize(("told_ago", "heard_ago"), [(60, 1), (1, 60)])
def test_who_hears_nothing_is_as_old_as_who_is_not_heard(told_ago: int, heard_ago: int) -> None:
    """An idle process has nothing to tell: that Kafka is away it knows by what it does not hear."""
    now = time.monotonic()
    desk = Desk(SETTINGS, Publisher(SETTINGS), RowCodec("t", "a", 1, 2), lambda: None)
    desk.heard_at = now - heard_ago
    feed: Any = SimpleNamespace(rows=0, partitions=0, told_at=now - told_ago)
    said = {one.name: one for one in Figures(feed, desk, lambda: True).collect()}
    assert 60 <= said["streamproc_analytics_told_age_seconds"].samples[0].value < 120


def test_its_metrics_are_the_closed_list(api: Api) -> None:
    _, _, body = ask(api, "/metrics")
    families = list(text_string_to_metric_families(body.decode()))
    shown = {(one.name + "_total" * (one.type == "counter"), one.type, one.documentation) for one in families}
    assert shown == {(one.name, one.kind, one.why) for one in METRICS}
    labels = {sample.name: tuple(sample.labels) for one in families for sample in one.samples}
    assert labels == {one.name: tuple(one.labels) for one in METRICS}


def test_only_reading_is_answered(api: Api) -> None:
    status, headers, _ = ask(api, "/", method="POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")
    assert ask(api, "/", method="HEAD")[2] == b""
    assert ask(api, "/api/nothing")[0] == 404
    assert ask(api, "/healthz")[0] == ask(api, "/readyz")[0] == 200


def test_a_process_that_is_about_to_end_is_not_well(api: Api) -> None:
    assert ask(api, "/healthz")[0] == 200
    api._desk.close()
    assert ask(api, "/healthz")[0] == 503
