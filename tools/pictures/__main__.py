"""``python -m tools.pictures``: the pictures of docs/operate.md, of a real worker on real servers, in a browser."""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streamproc.cli.top_show import shown
from streamproc.client.recordings import RecordingClient
from streamproc.local.stack import down, up
from streamproc.operate.report.page import page
from streamproc.operate.report.read import report
from streamproc.operate.top.look import looks
from streamproc.settings import Settings, users_settings
from streamproc.wiring import prepare
from tests.e2e.test_dashboard import is_ready
from tests.e2e.workers import PATIENCE_S, Worker, until
from tools.pictures.browser import Browser
from tools.pictures.load import produce

DOCS = Path(__file__).parents[2] / "docs"
WIDE = 118
"""Characters of the terminal."""
LOOK_S = 5.0

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command()
def main(
    seconds: Annotated[float, typer.Option(min=20, help="How long recordings come.")] = 120,
    to: Annotated[Path, typer.Option(help="The folder that the pictures are written to.")] = DOCS,
) -> None:
    """Let recordings come, look with ``top`` in the middle and with ``report`` at the end, and picture both."""
    browser = Browser()
    console = Console(stderr=True)
    began_ms = time.time_ns() // 1_000_000
    with tempfile.TemporaryDirectory(prefix="pictures-") as name, working(Path(name)) as (settings, worker):
        console.print("a worker works")
        load = threading.Thread(target=produce, args=(RecordingClient(settings), Path(name), seconds))
        load.start()
        picture = Path(name) / "top.svg"
        picture.write_text(top(worker, seconds / 2), "utf-8")
        load.join()
        until(lambda: idle(worker), PATIENCE_S, worker.tail)
        written = Path(name) / "report.html"
        written.write_text(page(report(settings, began_ms, time.time_ns() // 1_000_000, unheard)), "utf-8")
        browser.picture(picture, to / "top.png", *svg_size(picture))
        browser.picture(written, to / "report.png", 1000, 1400)
    console.print(f"{to / 'top.png'}, {to / 'report.png'}")


@contextmanager
def working(folder: Path) -> Iterator[tuple[Settings, Worker]]:
    """Servers of its own and a worker that is ready; both end with the block, whatever happens in it."""
    local = users_settings().local.model_copy(update={"state_dir": folder / "servers"})
    settings = Settings(local=local)
    worker = Worker({"STREAMPROC_LOCAL__STATE_DIR": str(local.state_dir), "STREAMPROC_HTTP__PORT": "0"}, folder)
    try:
        settings = up(settings, unheard, prepare).settings
        worker.start()
        until(lambda: is_ready(worker), PATIENCE_S, worker.tail)
        yield settings, worker
    finally:
        worker.stop()
        down(settings, unheard)


def unheard(*_: object) -> None:
    """Progress that nobody watches."""


def idle(worker: Worker) -> bool:
    """Whether all that came is committed."""
    found = next(looks([address(worker)], time.monotonic, lambda: time.sleep(2)))
    return all(one.in_flight == 0 and one.records_per_s == 0 for one in found.workers)


def top(worker: Worker, after_s: float) -> str:
    """What ``streamproc top`` shows some time from now, as SVG."""
    time.sleep(after_s)
    (found, *_) = [view for view, _ in zip(looks([address(worker)], time.monotonic, pause), range(1), strict=False)]
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDE, file=nowhere, force_terminal=True)
        console.print(shown(found, users_settings().kafka.group))
        return console.export_svg(title="streamproc top")


def pause() -> None:
    """Between two looks."""
    time.sleep(LOOK_S)


def address(worker: Worker) -> str:
    """HOST:PORT of its endpoints."""
    said = [line["url"] for line in worker.lines() if line.get("event") == "worker starts"]
    return str(said[-1]).partition("://")[2]


def svg_size(picture: Path) -> tuple[int, int]:
    """Its width and height in pixels."""
    box = picture.read_text("utf-8").partition('viewBox="')[2].partition('"')[0].split()
    return round(float(box[2])), round(float(box[3]))


if __name__ == "__main__":
    sys.exit(app())
