"""How a run is shown, to people and to programs."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streamproc.demo.run import Run
from streamproc.demo.tally import End, Sent, Totals
from streamproc.operate.dead_letter import DeadLetter
from streamproc.operate.lines import bar_text
from streamproc.operate.scores import GLYPHS, bar, scores_of, style
from streamproc.operate.warehouse.shown import answer_table
from streamproc.records.result import EmotionResult

BAR_WIDTH = 10
HONEST = (
    "The checkpoint is a demo: a small network, trained by a script in the repository on speech that espeak-ng "
    "synthesised. It tells those recipes apart, not people's emotions. No real weights are shipped."
)
TIERS = (
    "tier: equal bytes are computed once, for whichever fetch ends first, of the recording that was sent first or of "
    "its repeat; the others wait for it, or find it in memory."
)
GO_ON = (
    ("up", "the servers, to keep"),
    ("worker", "a worker, in another terminal"),
    ("publish my.wav", "a recording of your own"),
    ("results", "what came of it"),
    ("down", "the end"),
)
UP_WITH = ("up --with warehouse", "the servers, to keep")
ASK = ("warehouse ask", "an analyst's questions")
GO_ON_WITH = (UP_WITH, *GO_ON[1:-1], ASK, GO_ON[-1])
"""Behind a demo with a warehouse."""


def show(run: Run, console: Console) -> None:
    """Print everything."""
    totals = run.tally.totals()
    console.print(result_table(run))
    console.print(legend(run))
    console.print(TIERS, style="dim")
    console.print()
    console.print(dead_letter_table(run))
    console.print()
    for line in total_lines(totals):
        console.print(line, highlight=False)
    console.print()
    console.print(stage_table(run))
    console.print()
    for answer in run.answers:
        console.print(answer_table(answer))
        console.print()
    parts = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in run.wall_s.items())
    console.print(f"Wall time {sum(run.wall_s.values()):.1f} s: {parts}.", highlight=False)
    console.print()
    console.print(HONEST, style="italic")
    for problem in run.tally.problems():
        console.print(f"WRONG: {problem}", style="bold red", markup=False)


def go_on(program: str, *, warehouse: bool = False) -> Table:
    """The commands that come next, of a program that is started so."""
    table = Table("Go on with", "", box=box.SIMPLE)
    for command, what in GO_ON_WITH if warehouse else GO_ON:
        table.add_row(f"{program} {command}", what)
    return table


def result_table(run: Run) -> Table:
    """One row for each result; fits 80 columns."""
    table = Table("recording", "label", "scores", box=None, padding=(0, 1, 0, 0), title="Results", title_justify="left")
    for name in ("conf", "seconds", "seg"):
        table.add_column(name, justify="right")
    table.add_column("tier")
    table.add_column("ms", justify="right")
    for column in table.columns:
        column.no_wrap = True
    for sent, end in run.tally.ends():
        if isinstance(end, EmotionResult):
            table.add_row(
                Text(sent.announcement.title),
                Text(end.label or end.status, style=_label_style(sent, end)),
                bar_text(end, BAR_WIDTH),
                "" if end.confidence is None else f"{end.confidence:.2f}",
                f"{end.duration_ms / 1000:.2f}",
                str(end.segment_count),
                end.tier,
                str(end.processing_ms),
            )
    return table


def _label_style(sent: Sent, end: EmotionResult) -> str:
    if sent.announcement.label is None or end.label is None:
        return ""
    return "green" if end.label == sent.announcement.label else "yellow"


def legend(run: Run) -> Text:
    """What the letters of the bars mean."""
    results = [end for _, end in run.tally.ends() if isinstance(end, EmotionResult)]
    drawn = set("".join(bar(scores_of(end), BAR_WIDTH) for end in results))
    words = [(f"{glyph} {label}  ", style(glyph)) for label, glyph in GLYPHS.items() if glyph in drawn]
    return Text.assemble("scores: ", *words)


def dead_letter_table(run: Run) -> Table:
    """One row for each dead letter."""
    table = Table(box=None, padding=(0, 1, 0, 0), title="Dead letters", title_justify="left")
    table.add_column("recording", no_wrap=True)
    table.add_column("reason", no_wrap=True)
    table.add_column("why, and what to do")
    for sent, end in run.tally.ends():
        if isinstance(end, DeadLetter):
            why = f"{end.message.rstrip('.')}. To do: {end.advice}"
            table.add_row(Text(sent.announcement.title), Text(end.reason, style="red"), Text(why))
    return table


def total_lines(totals: Totals) -> Iterator[str]:
    """The sums, in sentences."""
    equal = "=" if totals.offsets_in == totals.results + totals.dead_letters else "is not"
    yield (
        f"Offsets in {totals.offsets_in} {equal} results {totals.results} + dead letters {totals.dead_letters} "
        f"({totals.retried} of them by way of a retry lane)."
    )
    yield (
        f"Served without the model: {totals.served} of {totals.results} results, for {totals.repeats} repeats; "
        f"{totals.repeats_in_micro_batch} of them in the same micro-batch as their original."
    )
    yield f"Distinct result_ids: {totals.result_ids}, since an event that is sent twice gives one."
    yield f"Audio: {totals.audio_seconds:.1f} s."
    yield f"Labels: {totals.right} of {totals.labelled} recordings with one known emotion were given it (green)."


def stage_table(run: Run) -> Table:
    """Where the time of the records went."""
    table = Table(
        "stage",
        box=None,
        padding=(0, 1, 0, 0),
        title="Time per stage, waiting included",
        title_justify="left",
    )
    for name in ("records", "mean ms", "all, s"):
        table.add_column(name, justify="right")
    for stage, (seconds, count) in run.stages.items():
        table.add_row(stage, str(count), f"{1000 * seconds / count:.1f}", f"{seconds:.2f}")
    return table


def as_json(run: Run) -> Mapping[str, object]:
    """The same for programs."""
    problems = list(run.tally.problems())
    ends = list(run.tally.ends())
    return {
        "run": run.name,
        "ok": not problems,
        "problems": problems,
        "checkpoint": HONEST,
        "totals": asdict(run.tally.totals()),
        "stages": {str(stage): {"seconds": round(s, 6), "records": n} for stage, (s, n) in run.stages.items()},
        "wall_seconds": dict(run.wall_s),
        "results": [_row(sent, end) for sent, end in ends if isinstance(end, EmotionResult)],
        "dead_letters": [_row(sent, end) for sent, end in ends if isinstance(end, DeadLetter)],
        "answers": {
            one.question.name: [dict(zip(one.columns, row, strict=True)) for row in one.rows] for one in run.answers
        },
    }


def _row(sent: Sent, end: End) -> Mapping[str, object]:
    row: dict[str, object] = {"title": sent.announcement.title, "partition": sent.partition, "offset": sent.offset}
    if isinstance(end, DeadLetter):
        return row | {"reason": end.reason, "stage": end.stage, "message": end.message, "advice": end.advice}
    return row | {
        "event_id": end.event_id,
        "result_id": end.result_id,
        "object_key": end.object_key,
        "status": end.status,
        "label": end.label,
        "expected_label": sent.announcement.label,
        "confidence": end.confidence,
        "scores": dict(scores_of(end)),
        "duration_ms": end.duration_ms,
        "segments": end.segment_count,
        "codec": end.codec,
        "sample_rate": end.sample_rate,
        "channel_count": end.channel_count,
        "tier": end.tier,
        "processing_ms": end.processing_ms,
    }
