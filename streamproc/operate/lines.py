"""Rows as single lines of fixed columns, so that they can be shown one by one for as long as they come."""

from datetime import UTC, datetime

from rich.text import Text

from streamproc.operate.dead_letter import DeadLetter
from streamproc.operate.scores import bar, scores_of, style
from streamproc.records.result import EmotionResult

BAR_WIDTH = 16
RESULTS = (
    f"{'produced (UTC)':<19}  {'recording':<32}  {'label':<10} {'scores':<{BAR_WIDTH}} {'conf':>4}  "
    f"{'seconds':>8} {'segments':>8}  {'tier':<8} {'ms':>7}"
)
DEAD_LETTERS = f"{'given up (UTC)':<19}  {'input offset':<32}  {'reason':<18}  message"


def header(*, dead_letters: bool) -> Text:
    """The names of the columns."""
    return Text(DEAD_LETTERS if dead_letters else RESULTS, style="bold", no_wrap=True)


def result_line(row: EmotionResult) -> Text:
    """One result."""
    return Text.assemble(
        f"{moment(row.produced_at)}  {tail(row.object_key, 32):<32}  {row.label or row.status:<10} ",
        bar_text(row, BAR_WIDTH),
        f" {'' if row.confidence is None else format(row.confidence, '.2f'):>4}  ",
        f"{row.duration_ms / 1000:>8.2f} {row.segment_count:>8}  {row.tier:<8} {row.processing_ms:>7}",
        no_wrap=True,
    )


def dead_letter_line(row: DeadLetter) -> Text:
    """One dead letter, with what to do about it."""
    origin = tail(f"{row.topic}/{row.partition}/{row.offset}", 32)
    return Text.assemble(
        f"{moment(row.at_ms)}  {origin:<32}  ", (f"{row.reason:<18}", "red"), f"  {row.message}. To do: {row.advice}"
    )


def bar_text(row: EmotionResult, width: int) -> Text:
    """The scores of a result as a coloured bar; blank without scores."""
    glyphs = bar(scores_of(row), width).ljust(width)
    return Text.assemble(*((glyph, style(glyph)) for glyph in glyphs))


def moment(ms: int) -> str:
    """Ms since the epoch, to the second."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def tail(text: str, width: int) -> str:
    """The last ``width`` characters, which tell more of a key than its first."""
    return text if len(text) <= width else "…" + text[1 - width :]
