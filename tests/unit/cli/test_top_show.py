from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from streamproc.cli.top_show import shown
from streamproc.operate.top.view import View, WorkerLine, view

BUSY = WorkerLine("worker-12.calls.example.com:9464", "g", True, False, 12, 1234.5, 4321.9, 100.2, 512, 98.7, 1.0, 2e9)


def told(found: View, width: int) -> str:
    out = StringIO()
    Console(file=out, width=width).print(shown(found, "g"))
    return out.getvalue()


@pytest.mark.parametrize("width", [70, 80, 200])
def test_no_figure_is_cut(width: int) -> None:
    said = told(replace(view([]), workers=(BUSY,)), width)
    assert "…" not in said
    table = said.partition("\n\n")[0]
    figures = ("12", "1234.5", "4321.9", "100.2", "512", "98.7", "100 %", "1907")
    assert [one for one in (*figures, "ready", "device") if one not in table] == []
    address = "".join(line.split(" ")[0] for line in table.splitlines()[1:])
    assert address.startswith(BUSY.worker)


@pytest.mark.parametrize(("count", "said"), [(0, "0 workers "), (1, "1 worker "), (2, "2 workers ")])
def test_one_is_no_plural(count: int, said: str) -> None:
    assert said in told(replace(view([]), workers=(BUSY,) * count), 200)
