"""A view of workers, as a table and lines."""

from collections.abc import Mapping
from typing import Literal

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from streamproc.operate.top.view import View, WorkerLine

_MIB = 1024**2
_HEAD = ("worker", "", "parts", "rec/s", "audio/s", "lag s", "flight", "old s", "device", "MiB")


def shown(view: View, ours: str) -> RenderableType:
    """All of it; ``ours`` is the settings' group."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for name in _HEAD:
        # Where all of it is too wide, the address goes on in the next line: a figure that is cut is another figure.
        address = name == _HEAD[0]
        justify: Literal["left", "right"] = "left" if name in _HEAD[:2] else "right"
        table.add_column(name, justify=justify, no_wrap=not address, overflow="fold" if address else "ellipsis")
    for one in view.workers:
        table.add_row(*_cells(one))
    table.add_row(
        f"{len(view.workers)} worker{'' if len(view.workers) == 1 else 's'}",
        "",
        "",
        f"{view.records_per_s:.1f}",
        _audio(view),
        f"{view.lag_s:.1f}",
        style="bold",
    )
    lines = [
        _groups(view, ours),
        _line("outcomes /s", view.outcomes, "{:.1f}"),
        _line("stages ms", {name: 1000 * seconds for name, seconds in view.stages.items()}, "{:.1f}"),
        _line("tiers /s", view.tiers, "{:.1f}").append(f"   hits {_share(view.hit_rate)}"),
        _line("lanes /s", view.lanes, "{:.2f}"),
        _line("dead letters /s", view.reasons, "{:.2f}"),
        Text(f"backlog          {_drain(view.drain_s)}"),
    ]
    troubles = [Text(f"away             {', '.join(view.away)}", "red")] if view.away else []
    return Group(table, Text(), *lines, *troubles, *(Text(text, "red") for text in view.missing))


def _groups(view: View, ours: str) -> Text:
    """Whose workers these are: at an address of this computer may be somebody else's."""
    found = sorted({one.group for one in view.workers if one.group})
    told = Text(f"{'group':<16} {', '.join(found) or '-'}")
    return told if found in ([], [ours]) else told.append(f"   kafka.group here is {ours}", "red")


def _cells(one: WorkerLine) -> tuple[str | Text, ...]:
    state = Text("brake", "bold red") if one.brake else Text("ready", "green") if one.ready else Text("waits", "yellow")
    return (
        one.worker,
        state,
        str(one.partitions),
        f"{one.records_per_s:.1f}",
        f"{one.audio_per_s:.1f}",
        f"{one.lag_s:.1f}",
        str(one.in_flight),
        f"{one.oldest_s:.1f}",
        _share(one.device_busy),
        f"{one.memory_bytes / _MIB:.0f}",
    )


def _line(name: str, values: Mapping[str, float], form: str) -> Text:
    told = "  ".join(f"{value} {form.format(number)}" for value, number in values.items())
    return Text(f"{name:<16} {told or '-'}")


def _audio(view: View) -> str:
    return f"{sum(one.audio_per_s for one in view.workers):.1f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.0f} %"


def _drain(seconds: float | None) -> str:
    return "no speed yet" if seconds is None else f"{seconds:.0f} s of work"
