"""``python -m tools.analytics``: kill the analytics app under load, compare its windows, time it beside its peers."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streamproc.kafka.admin import create_analytics_topics, create_topics
from streamproc.kafka.own_schemas import register_schemas
from streamproc.kafka.registry import connect
from streamproc.local.kafka import KafkaRecipe
from streamproc.local.registry import RegistryRecipe
from streamproc.local.stack import down, up
from streamproc.settings import Settings, users_settings
from streamproc.testing.simulation.report import commit, machine
from tests.bench.analytics import measure
from tests.e2e.analysed import PARTITIONS, App, of_its_own, settled, shake
from tests.e2e.conversations import Conversations, differences, expected
from tests.e2e.workers import PATIENCE_S

RESULTS = 100_000
ROUNDS = 3
CASES: Mapping[str, tuple[float, int]] = {"no window is over": (4, 86_400), "windows are over": (8, 3_600)}
"""Hours that the results span, and retention in seconds."""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@dataclass
class Proof:
    """What came of one case."""

    name: str
    results: int
    windows: int = 0
    differing: list[str] = field(default_factory=list)
    found: Mapping[str, object] = field(default_factory=dict)
    """What a rebuild said."""
    seconds: float = 0

    @property
    def good(self) -> bool:
        """Whether nobody found a difference."""
        return not self.differing and self.found.get("differing") == 0


@app.command()
def main(
    results: Annotated[int, typer.Option(min=800, help="In each case.")] = RESULTS,
    rounds: Annotated[int, typer.Option(min=1, help="Of measuring.")] = ROUNDS,
    quix: Annotated[
        Path | None, typer.Option(help="An interpreter that has quixstreams and this project's others.")
    ] = None,
    report: Annotated[Path | None, typer.Option(help="Write a report to this file.")] = None,
) -> None:
    """Write results while the app is killed three times as an owner and joined once, and compare every window.

    Exits with 1 unless every window is what an outsider makes of the topics, and a rebuild finds no difference.
    """
    console = Console(stderr=True)
    proofs: list[Proof] = []
    speeds: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="analytics-") as folder, servers(Path(folder)) as settings:
        for number, (name, (hours, retention_s)) in enumerate(CASES.items()):
            own = of_its_own(named(settings, f"case-{number}"), f"case-{number}", retention_s=retention_s)
            console.print(f"{name}: {results} results over {hours} hours, kept for {retention_s} s")
            proofs.append(prove(own, Path(folder), Proof(name, results), hours, console))
        for who, speed in measure(
            of_its_own(named(settings, "case-0"), "case-0"), rounds, None if quix is None else str(quix)
        ):
            console.print(f"{who}: {speed:,.0f} rows a second")
            speeds[who].append(speed)
    text = "\n".join(_lines(proofs, speeds)) + "\n"
    print(text)
    if report is not None:
        report.write_text(text, "utf-8")
    if not all(proof.good for proof in proofs):
        raise typer.Exit(1)


def prove(settings: Settings, folder: Path, proof: Proof, hours: float, console: Console) -> Proof:
    """Play one case."""
    create_topics(settings)
    create_analytics_topics(settings)
    with connect(settings.registry) as registry:
        register_schemas(registry, settings.topics)
    patience_s = PATIENCE_S + proof.results / 100
    name, began = settings.analytics.group, time.monotonic()
    first, second = App(settings, folder, f"{name}-first"), App(settings, folder, f"{name}-second")
    try:
        shake(Conversations(settings, 1, proof.results, hours=hours), first, second, patience_s, console.print)
        settled(settings, patience_s, second)
        proof.differing = differences(settings)
        proof.windows = len(expected(settings))
        proof.found = second.rebuild(patience_s)
    finally:
        first.stop()
        second.stop()
    proof.seconds = time.monotonic() - began
    return proof


def named(settings: Settings, name: str) -> Settings:
    """The settings with topics of this name."""
    what = ("recordings", "results", "segments", "ledger")
    topics = settings.topics.model_copy(update={each: f"{name}.{each}" for each in what} | {"partitions": PARTITIONS})
    return settings.model_copy(update={"topics": topics})


@contextmanager
def servers(folder: Path) -> Iterator[Settings]:
    """Kafka and the registry, which end with the block, whatever happens in it. Raises LocalError."""
    settings = Settings(local=users_settings().local.model_copy(update={"state_dir": folder / "servers"}))
    recipes = (KafkaRecipe(), RegistryRecipe())
    try:
        yield up(settings, _unheard, lambda _settings: None, recipes).settings
    finally:
        down(settings, _unheard)


def _unheard(_server: str, _text: str) -> None:
    """Progress that nobody watches."""


def _lines(proofs: Sequence[Proof], speeds: Mapping[str, Sequence[float]]) -> Iterator[str]:
    yield from (
        "# Trends: kills, and what an outsider makes of the topics",
        "",
        f"Written by `make analytics`. Commit {commit()}, {machine()}.",
        "",
        "Results with repeats, late, out-of-order and aborted rows go through a real Kafka with 4 partitions, while",
        "`streamproc analytics` is ended by SIGKILL three times, each time as the owner of partitions, and joined once",
        "by another process. Then each window on the topic of trends is compared with what plain clients make of the",
        "topics, and `analytics rebuild --dry-run` compares them too.",
        "",
        "| | results | windows | differing | by a rebuild | alarming | left out | seconds |",
        "|---|---|---|---|---|---|---|---|",
    )
    for proof in proofs:
        left_out = proof.found.get("left_out")
        told = (
            ", ".join(f"{count:,} {why}" for why, count in sorted(left_out.items()))
            if isinstance(left_out, dict)
            else ""
        )
        numbers = f"{proof.results:,} | {proof.windows:,} | {len(proof.differing)} | {proof.found.get('differing')}"
        yield f"| {proof.name} | {numbers} | {proof.found.get('raised')} | {told} | {proof.seconds:,.0f} |"
    yield from (
        "",
        "Rows a second (results and segments alike) of the first case, folded by one process, in the same run, one",
        "after the other: the median of the rounds, and each. It is the same fold: what differs is who brings rows.",
        "",
        "| brought by | rows a second | rounds |",
        "|---|---|---|",
    )
    for who, rounds in speeds.items():
        median = sorted(rounds)[len(rounds) // 2]
        yield f"| {who} | {median:,.0f} | {', '.join(f'{speed:,.0f}' for speed in rounds)} |"


if __name__ == "__main__":
    app()
