"""The page in a real browser, over the real API, with rows of calls that never were."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from streamproc.analytics.api import Api
from streamproc.analytics.desk import Desk
from streamproc.analytics.figures import Figures, registry_of
from streamproc.analytics.fold import Fold
from streamproc.analytics.partial import Partial, Place, Progress, terms
from streamproc.analytics.rows import RowCodec
from streamproc.analytics.windows import calendar
from streamproc.kafka.publisher import Publisher
from streamproc.settings import AnalyticsSettings, HttpSettings, Settings
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.http import listen
from tests.browser import CHROMIUM, Page, browser
from tests.unit.analytics.rows import result

if CHROMIUM is None:
    # Skipped with CI=true, too: a browser is the one program that comes neither with Python packages nor alone.
    pytest.skip("there is no chromium", allow_module_level=True)

HOUR_MS = 3_600_000
MIDNIGHT_MS = 1_769_817_600_000
"""2026-01-31, UTC."""
HOURS = (0, 1, 5, 6)
"""In which there are results."""
STRANGE = 'a&b=c#d "é</td>'
DEFAULTS = AnalyticsSettings()
MINUTES = AnalyticsSettings(tumbling_s=60, hopping_s=60, hop_s=60)
BERLIN = "Europe/Berlin"


@contextmanager
def served(analytics: AnalyticsSettings, *, empty: bool = False) -> Iterator[str]:
    """The API of one app: agents in all hours, at the threshold, with too little support, and 25 alarming ones."""
    settings = Settings(analytics=analytics)
    desk = Desk(settings, Publisher(settings), RowCodec("t", "a", 1, 2), lambda: None)
    fold = Fold(calendar(analytics), 0, 100)
    now_ms = MIDNIGHT_MS + 6 * HOUR_MS
    told = [("steady", "happy", MIDNIGHT_MS + hour * HOUR_MS) for hour in HOURS for _ in range(20)]
    told += [("edge", label, now_ms) for label in ("angry", "happy") for _ in range(10)]
    told += [("few", "angry", now_ms), (STRANGE, "happy", now_ms)]
    told += [(f"bad-{number:02}", "angry", now_ms) for number in range(25) for _ in range(20)]
    for number, (agent, label, at_ms) in enumerate([] if empty else told):
        fold.result(result(number, at_ms + number * 1000, agent, label))
    agreed = terms(settings)
    for key, start, tally in fold.changes():
        desk.view.take(Partial(Place(agreed, 0, key, start), tally))
    if not empty:
        desk.view.take(Progress(agreed, 0, fold.watermark))
    desk.refresh()
    feed: Any = SimpleNamespace(rows=0, partitions=1, told_at=time.monotonic())
    api = Api(settings, desk, lambda: True, registry_of(Figures(feed, desk, lambda: True)), SystemClock())
    with listen(HttpSettings(host="127.0.0.1", port=0), api, "ANALYTICS") as http:
        yield f"http://127.0.0.1:{http.port}/"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as page:
        yield page
    assert page.complaints == []


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served(DEFAULTS) as url:
        yield url


def look(page: Page, url: str, width: int = 1180, zone: str = BERLIN) -> None:
    """Open it, and wait for what it draws."""
    page.look(width, 900, zone)
    page.open(url)
    page.wait("!document.getElementById('state').textContent.startsWith('reading')")


def text(page: Page, place: str) -> str:
    return str(page.value(f"document.querySelector({place!r}).textContent")).replace("\N{EN DASH}", "-")


def find(page: Page, agent: str) -> None:
    """Look for it by its name, which no other has in its own."""
    asked = f"find.value = {agent!r}; find.dispatchEvent(new Event('input'))"
    page.value(f"(find => {{ {asked}; }})(document.getElementById('find'))")
    page.wait(f"[...document.querySelectorAll('#windows td button')].map(one => one.textContent).join() === {agent!r}")


def boxes(page: Page, place: str) -> list[list[float]]:
    """Left, right and top of each, in pixels."""
    box = "(one => { const b = one.getBoundingClientRect(); return [b.left, b.right, b.top]; })"
    found: list[list[float]] = page.value(f"[...document.querySelectorAll({place!r})].map{box}")
    return found


def test_a_gap_is_a_gap(page: Page, url: str) -> None:
    look(page, url + "#kind=tumbling&attribute=agent&value=steady")
    assert page.value("document.querySelectorAll('polyline.course').length") == 2
    assert (
        page.value("document.querySelectorAll('circle').length")
        == page.value("document.querySelectorAll('.bar').length")
        == 4
    )
    ends = [end for line in boxes(page, "polyline.course") for end in line[:2]]
    hour = ends[1] - ends[0]
    assert ends[2] - ends[1] == pytest.approx(4 * hour, abs=1)


def test_what_is_clicked_is_drawn_and_can_be_sent_on(page: Page, url: str) -> None:
    look(page, url)
    assert text(page, "#course") == "Negative share of all results"
    find(page, STRANGE)
    page.value("document.querySelector('#windows button').click()")
    page.wait(f"document.getElementById('course').textContent === {f'Negative share of agent {STRANGE}'!r}")
    page.open(page.value("location.href"))
    page.wait(f"document.getElementById('course').textContent === {f'Negative share of agent {STRANGE}'!r}")
    page.value("document.getElementById('everything').click()")
    page.wait("document.getElementById('course').textContent === 'Negative share of all results'")
    page.value("document.querySelector('#alerts [data-value=bad-07]').click()")
    page.wait("document.getElementById('course').textContent === 'Negative share of agent bad-07'")
    find(page, "bad-07")
    assert page.value("document.querySelector('#windows button').getAttribute('aria-current')") == "true"


def test_the_chart_is_of_the_windows_that_raise_alerts_and_marks_the_one_that_is_clicked(page: Page, url: str) -> None:
    look(page, url)
    assert page.value("document.getElementById('kind').value") == "tumbling"
    assert boxes(page, "rect.mark") == []
    page.value("document.querySelector('#alerts [data-value=bad-07]').click()")
    page.wait("document.querySelector('rect.mark') !== null")
    assert boxes(page, "rect.mark")[0][:2] == pytest.approx(boxes(page, ".bar")[-1][:2], abs=2)
    note = text(page, "#series .mark.note")
    assert note.startswith("Marked: 2026-01-31 06:00 - 07:00 UTC")
    assert "100.0 % negative of 20 labelled" in note
    assert page.value("document.querySelector('#alerts [aria-current]').dataset.value") == "bad-07"
    page.value("document.querySelector('#windows [data-value=bad-03]').click()")
    page.wait("document.getElementById('course').textContent.endsWith('bad-03')")
    assert boxes(page, "rect.mark") == []


def test_an_alert_is_shown_as_the_window_that_raised_it(page: Page, url: str) -> None:
    look(page, url + "#kind=hopping")
    assert "overlap, and raise no alerts" in text(page, "#series")
    page.value("document.querySelector('#alerts [data-value=bad-07]').click()")
    page.wait("document.querySelector('rect.mark') !== null")
    assert page.value("document.getElementById('kind').value") == "tumbling"
    assert "from which a window raises an alert" in text(page, "#series")
    page.value("location.hash = location.hash.replace('tumbling', 'hopping')")
    page.wait("document.getElementById('kind').value === 'hopping'")


@pytest.mark.parametrize(
    ("agent", "kind"), [("bad-00", "alarm"), ("edge", "alarm"), ("steady", "calm"), ("few", "weak")]
)
def test_what_raises_an_alert_is_drawn_so(page: Page, url: str, agent: str, kind: str) -> None:
    look(page, f"{url}#attribute=agent&kind=tumbling&value={agent}")
    find(page, agent)
    assert page.value("document.querySelector('#windows .share').className") == f"share {kind}"
    points = page.value("[...document.querySelectorAll('circle')].at(-1).getAttribute('class')")
    assert points == {"alarm": "point alarm", "weak": "point weak", "calm": "point"}[kind]


def test_headings_say_of_when(page: Page, url: str) -> None:
    look(page, url + "#kind=tumbling")
    assert "recordings up to 2026-01-31 06:10:01 UTC (07:10:01 Europe/Berlin)" in text(page, "#state")
    assert text(page, "#when") == "2026-01-31 06:00 - 07:00 UTC (07:00 - 08:00 Europe/Berlin)"
    assert text(page, "#since") == "since 2026-01-31 05:00 - 06:00 UTC (06:00 - 07:00 Europe/Berlin)"
    look(page, url + "#kind=hopping", zone="America/New_York")
    assert text(page, "#when").startswith(
        "2026-01-31 05:15 - 06:15 UTC (00:15 - 01:15 America/New_York); of the windows"
    )
    look(page, url + "#kind=tumbling&attribute=agent&value=steady", zone="America/New_York")
    assert "2026-01-31 00:00 - 07:00 UTC (2026-01-30 19:00 - 2026-01-31 02:00 America/New_York)" in text(
        page, "#series .note"
    )
    look(page, url + "#kind=tumbling", zone="UTC")
    assert text(page, "#when") == "2026-01-31 06:00 - 07:00 UTC"


@pytest.mark.parametrize(("place", "all_of_them"), [("#windows", 29), ("#alerts", 27)])
def test_what_is_not_shown_is_counted_and_linked(page: Page, url: str, place: str, all_of_them: int) -> None:
    look(page, url + "#kind=tumbling")
    shown = page.value(f"document.querySelectorAll('{place} tbody tr').length")
    assert text(page, f"{place} .scroll .note").startswith(f"and {all_of_them - shown} more: api/")
    assert (
        page.value(f"fetch(document.querySelector('{place} a').href).then(one => one.json()).then(rows => rows.length)")
        == all_of_them
    )


def test_where_the_list_of_alerts_and_the_topic_differ_is_said(page: Page, url: str) -> None:
    look(page, url)
    differ = "On the topic an alert stays raised until the share of its window falls below 40.0 %."
    assert text(page, "#alerts").endswith(differ)
    with served(DEFAULTS.model_copy(update={"alert_support": 1000})) as quiet:
        look(page, quiet)
        assert text(page, "#alerts").startswith("None: no tumbling window")
        assert text(page, "#alerts").endswith(differ)
    with served(DEFAULTS.model_copy(update={"alert_clear_share": DEFAULTS.alert_share})) as one:
        look(page, one)
        assert "stays raised" not in text(page, "#alerts")


def test_support_is_shown(page: Page, url: str) -> None:
    look(page, url + "#kind=tumbling")
    for place in ("#windows", "#alerts"):
        heads = page.value(f"[...document.querySelectorAll('{place} th')].map(one => one.textContent)")
        row = page.value(f"[...document.querySelectorAll('{place} tbody tr')].at(0).innerText.split('\\t')")
        assert row[heads.index("labelled")] == "20"
    assert "fewer than 20 labelled results" in text(page, "#windows")


@pytest.mark.parametrize("width", [360, 800, 1180])
@pytest.mark.parametrize(("analytics", "kind"), [(DEFAULTS, "tumbling"), (DEFAULTS, "hopping"), (MINUTES, "tumbling")])
def test_nothing_lies_on_anything_else(page: Page, width: int, analytics: AnalyticsSettings, kind: str) -> None:
    with served(analytics) as url:
        look(page, f"{url}#kind={kind}", width)
        for place in (".tick", ".bar"):
            found = boxes(page, place)
            rows = {top: sorted(box[:2] for box in found if place == ".bar" or box[2] == top) for _, _, top in found}
            assert rows
            for row in rows.values():
                assert all(left[1] <= right[0] + 0.1 for left, right in pairwise(row)), (place, row)
        assert len(boxes(page, ".tick")) >= 4
        assert page.value("document.documentElement.scrollWidth") <= width
        assert max(box[1] for box in boxes(page, "svg text")) <= width


def test_the_keyboard_stays_where_it_was_when_answers_come(page: Page, url: str) -> None:
    look(page, url)
    page.value("window.before = document.querySelector('#windows [data-value=bad-03]'); before.focus()")
    page.value("dispatchEvent(new Event('resize'))")
    page.wait("!before.isConnected")
    assert page.value("document.activeElement.dataset.value") == "bad-03"


def test_it_asks_again_by_itself(page: Page, url: str) -> None:
    look(page, url)
    page.value("window.before = document.querySelector('#windows table')")
    page.wait("!before.isConnected")


def test_without_results_each_place_says_why(page: Page) -> None:
    with served(DEFAULTS, empty=True) as url:
        look(page, url)
        assert "streamproc publish" in text(page, "#series")
        assert "--agent" in text(page, "#windows")
        assert "agent" in text(page, "#movers")
        assert "analytics.alert_support" in text(page, "#alerts")


def test_what_does_not_move_says_why(page: Page) -> None:
    with served(DEFAULTS.model_copy(update={"alert_support": 21})) as url:
        look(page, url + "#kind=tumbling")
        assert "no agent has at least 21 labelled results" in text(page, "#movers")


def test_an_answer_that_does_not_come_is_said(page: Page) -> None:
    with served(DEFAULTS) as url:
        look(page, url)
    page.value("dispatchEvent(new Event('resize'))")
    page.wait("document.getElementById('state').textContent.startsWith('no answer')")
    assert page.value("document.querySelectorAll('.bar').length") > 0
