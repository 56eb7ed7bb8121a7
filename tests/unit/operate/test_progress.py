import io

from rich.console import Console

from streamproc.operate.progress import LiveProgress


def shown(*, terminal: bool) -> str:
    out = io.StringIO()
    with LiveProgress(Console(file=out, force_terminal=terminal, width=100)) as progress:
        progress.server("kafka", "starting [1]")
        progress.server("kafka", "ready")
        for done in range(9):
            progress.count("stored", "a[b].wav", done, 8)
    return out.getvalue()


def test_elsewhere_than_on_a_terminal_each_thing_is_a_plain_line_and_a_count_a_few() -> None:
    assert shown(terminal=False).splitlines() == [
        "kafka: starting [1]",
        "kafka: ready",
        *(f"stored: {done} of 8" for done in (0, 2, 4, 6, 8)),
    ]


def test_on_a_terminal_each_thing_has_one_line_that_is_drawn_over() -> None:
    last = shown(terminal=True).rpartition("kafka")[2]
    assert "ready" in last
    assert "8 of 8  a[b].wav" in last
    assert "starting" not in last
