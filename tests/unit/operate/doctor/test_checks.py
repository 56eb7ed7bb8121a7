import re
from pathlib import Path

from streamproc.operate.doctor.checks import checks
from streamproc.settings import Settings
from streamproc.telemetry.clock import SystemClock

PAGE = Path(__file__).parents[4] / "docs" / "operations.md"


def test_the_page_has_every_check_and_what_it_asks() -> None:
    table = PAGE.read_text("utf-8").partition("<!-- doctor -->")[2].partition("<!-- end -->")[0]
    told = re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.MULTILINE)
    assert told == [(one.name, one.asks) for one in checks(Settings(), SystemClock(), {}, None)]


def test_every_check_is_bounded_and_knows_what_to_do() -> None:
    found = checks(Settings(), SystemClock(), {}, None)
    assert all(0 < one.within_s <= 300 for one in found)
    assert all(one.advice.endswith(".") for one in found)
