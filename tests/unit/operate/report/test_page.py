from dataclasses import replace
from html.parser import HTMLParser

from streamproc.operate.report.lines import rows
from streamproc.operate.report.page import page
from streamproc.operate.report.period import Gathered
from streamproc.operate.report.report import Report, Source

ROW = {"processing_ms": 500, "duration_ms": 2_000, "tier": "computed", "status": "ok", "label": "<b>angry</b>"}


class Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]


def test_the_page_stands_by_itself_and_shows_what_rows_say_as_text() -> None:
    rows = Gathered(0, 48_000)
    rows.result(1_500, ROW, 500)
    rows.dead_letter(2_500, "object_missing", 500)
    found = Report(rows.period(), Gathered(-48_000, 0).period(), ("it is <slow>",), 0)
    text = page(found)
    seen = Seen()
    seen.feed(text)
    assert seen.links == []
    assert "script" not in seen.tags
    assert seen.tags.count("svg") == 3
    assert "b" not in seen.tags
    assert "&lt;b&gt;angry&lt;/b&gt; 1" in text
    assert "it is &lt;slow&gt;" in text
    # A floor for each plot; a bar for the result, for the dead letter, and for both of their times.
    assert seen.tags.count("rect") == 3 + 1 + 1 + 2


def test_a_page_of_nothing_has_plots_without_bars() -> None:
    found = Report(Gathered(0, 48_000).period(), Gathered(-48_000, 0).period(), (), 0)
    seen = Seen()
    seen.feed(page(found))
    assert seen.tags.count("rect") == 3


def test_what_prometheus_cannot_know_is_said_and_not_invented() -> None:
    period = replace(Gathered(0, 48_000).period(), labels=None, statuses=None, unknown=None)
    found = Report(period, period, (), None, Source.PROMETHEUS, ("not known: <labels>",))
    assert '<p class="note">not known: &lt;labels&gt;</p>' in page(found)
    told = {name: values for name, *values in rows(found)}
    assert [told[name] for name in ("labels", "statuses", "beginning unknown", "processing")] == [["-", "-"]] * 4
