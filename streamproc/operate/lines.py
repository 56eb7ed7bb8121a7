"""Rows as single lines of fixed columns, so that they can be shown one by one for as long as they come."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from rich.text import Text

from streamproc.operate.dead_letter import DeadLetter
from streamproc.operate.names import file_name_of
from streamproc.operate.scores import bar, scores_of, style
from streamproc.records.result import EmotionResult

T = TypeVar("T")

BAR_WIDTH = 16
ID_WIDTH = 13
"""The first two groups of a UUID: enough to find it among those that `publish` printed."""
KEY_WIDTH = 24
RESULTS = (
    f"{'produced (UTC)':<19}  {'event':<{ID_WIDTH}}  {'recording':<{KEY_WIDTH}}  {'label':<10} "
    f"{'scores':<{BAR_WIDTH}} {'conf':>4}  "
    f"{'seconds':>8} {'segments':>8}  {'tier':<8} {'ms':>7}"
)
DEAD_LETTERS = (
    f"{'given up (UTC)':<19}  {'event':<{ID_WIDTH}}  {'recording':<{KEY_WIDTH}}  {'input offset':<32}  "
    f"{'reason':<18}  message"
)


def header(*, dead_letters: bool) -> Text:
    """The names of the columns."""
    return Text(DEAD_LETTERS if dead_letters else RESULTS, style="bold", no_wrap=True)


def result_line(row: EmotionResult) -> Text:
    """One result. Other programs write some of its columns as null: the schema allows it, and ours never does."""
    names = _names(row.event_id, file_name_of(row.attributes_json) or row.object_key)
    return Text.assemble(
        f"{_blank(row.produced_at, moment):<19}  {names}  {row.label or row.status:<10} ",
        bar_text(row, BAR_WIDTH),
        f" {'' if row.confidence is None else format(row.confidence, '.2f'):>4}  ",
        f"{_blank(row.duration_ms, _seconds):>8} {_blank(row.segment_count, str):>8}  {_blank(row.tier, str):<8} ",
        f"{_blank(row.processing_ms, str):>7}",
        no_wrap=True,
    )


def dead_letter_line(row: DeadLetter) -> Text:
    """One dead letter, with what to do about it."""
    origin = tail(f"{row.topic}/{row.partition}/{row.offset}", 32)
    return Text.assemble(
        f"{moment(row.at_ms)}  {_names(row.event_id, row.file_name or row.object_key)}  {origin:<32}  ",
        (f"{row.reason:<18}", "red"),
        f"  {row.message}. To do: {row.advice}",
    )


def bar_text(row: EmotionResult, width: int) -> Text:
    """The scores of a result as a coloured bar; blank without scores."""
    glyphs = bar(scores_of(row), width).ljust(width)
    return Text.assemble(*((glyph, style(glyph)) for glyph in glyphs))


def counted(count: int, what: str, many: str = "") -> str:
    """A number of things: ``1 record``, ``1,000 records``; of more than one ``many``, where an s is not all."""
    return f"{count:,} {what if count == 1 else many or f'{what}s'}"


def moment(ms: int) -> str:
    """Ms since the epoch, to the second."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _blank(value: T | None, show: Callable[[T], str]) -> str:
    return "" if value is None else show(value)


def _seconds(ms: int) -> str:
    return f"{ms / 1000:.2f}"


def _names(event_id: str | None, recording: str | None) -> str:
    """The columns that tell whose row it is; ``-`` where nobody knows.

    A producer's id may hold anything, and a file's name or a dead letter's key too: what would move the cursor is
    replaced.
    """
    short, name = _plain(event_id or "-")[:ID_WIDTH], tail(_plain(recording or "-"), KEY_WIDTH)
    return f"{short:<{ID_WIDTH}}  {name:<{KEY_WIDTH}}"


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def tail(text: str, width: int) -> str:
    """The last ``width`` characters, which tell more of a key or a name than its first."""
    return text if len(text) <= width else "…" + text[1 - width :]
