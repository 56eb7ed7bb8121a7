import json
import re

from streamproc.telemetry.connectors import ConnectorMetrics
from streamproc.telemetry.metrics import Metrics
from tools.dashboard.__main__ import FILE
from tools.dashboard.grafana import dashboard, text
from tools.dashboard.rows import ROWS

DEFINITIONS = (*Metrics().definitions, *ConnectorMetrics().definitions)
QUERIES = [query.expr for row in ROWS for panel in row.panels for query in panel.queries]


def test_the_file_is_what_the_code_makes() -> None:
    assert FILE.read_text("utf-8") == text(ROWS)


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    panels = dashboard(ROWS)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) == 40
    covered = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(covered)) == len(covered)
    assert {x for x, _ in covered} == set(range(24))


def test_queries_ask_for_metrics_and_label_values_that_there_are() -> None:
    known = {one.name: one for one in DEFINITIONS}
    for query in QUERIES:
        for name, chosen in re.findall(r"(streamproc_\w+)\{([^}]*)\}", query):
            plain = name if name in known else re.sub(r"_(sum|count|bucket)$", "", name)
            assert plain == name or known[plain].kind == "histogram"
            for label, values in re.findall(r'(\w+)=~?"([^"$]+)"', chosen):
                assert set(values.split("|")) <= set(known[plain].labels[label])


def test_every_metric_but_what_others_say_too_is_shown() -> None:
    shown = " ".join(QUERIES)
    missing = {one.name for one in DEFINITIONS if not re.search(rf"{one.name}\b|{one.name}_(sum|bucket)", shown)}
    assert missing == {
        "streamproc_build_info",
        "streamproc_fetches_skipped_total",
        "streamproc_in_flight_audio_seconds",
        "streamproc_in_flight_bytes",
        "streamproc_lag_records",
    }


def test_the_dashboard_asks_for_one_source_of_data_that_is_chosen() -> None:
    assert set(re.findall(r'"uid": "([^"]+)"', json.dumps(dashboard(ROWS)))) == {"streamproc", "${source}"}
