"""What benchmarks told, run after run, and whether it is inside its bounds. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from streamproc.bench.spread import Spread, spread
from tools.bench.bounds import Figure, Subject
from tools.bench.figure import NoFigureError, number


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure over all runs."""

    subject: str
    figure: Figure
    spread: Spread

    @property
    def held(self) -> bool:
        """Whether the middle of the runs is inside the bound: a single one on a busy machine proves nothing."""
        return self.figure.held(self.spread.middle)


def measured(subjects: Mapping[str, Subject], documents: Mapping[str, Sequence[object]]) -> Iterator[Measured]:
    """Sum up, in the order of the bounds; what is optional and not told is left out. Raises NoFigureError."""
    for name, subject in subjects.items():
        for figure in subject.figures:
            try:
                values = [number(document, figure.path) for document in documents[name]]
            except NoFigureError:
                if not figure.optional:
                    raise
                continue
            yield Measured(name, figure, spread(values))


def cells(found: Measured) -> tuple[str, ...]:
    """A row for people: benchmark, figure, value with its spread, bound, goal, verdict."""
    figure, values = found.figure, found.spread
    value = _short(values.middle)
    if values.least != values.most:
        value += f" ({_short(values.least)} to {_short(values.most)})"
    bound = next((f"{word} {side:g}" for word, side in _sides(figure) if side is not None), "")
    goal = "" if figure.goal is None else f"{figure.goal:g}"
    return found.subject, figure.name, value, bound, goal, _verdict(found)


_WHOLE = 1_000


def _short(value: float) -> str:
    return f"{value:.3g}" if value < _WHOLE else f"{value:,.0f}"


def _sides(figure: Figure) -> tuple[tuple[str, float | None], ...]:
    return ("at least", figure.at_least), ("at most", figure.at_most)


def _verdict(found: Measured) -> str:
    if not found.held:
        return "fell back"
    return {None: "", True: "goal reached", False: "goal missed"}[found.figure.reached(found.spread.middle)]
