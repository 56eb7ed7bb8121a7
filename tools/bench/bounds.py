"""Which figures of which benchmark are told, and how far the ratios among them may fall back."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError, model_validator

from streamproc.errors import StreamprocError

BOUNDS = Path(__file__).with_name("bounds.json")


class NoBoundsError(StreamprocError):
    """The file of bounds cannot be read."""


class Figure(BaseModel):
    """One number of a benchmark's JSON object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    path: Annotated[Sequence[str | Mapping[str, str | float]], Field(min_length=1)]
    """From the object to the number: a name for a field, a mapping for the one in a list that has these fields."""
    at_least: FiniteFloat | None = None
    at_most: FiniteFloat | None = None
    """One of both: the ratio is held to it. None: the figure is of one machine, and only told."""
    goal: FiniteFloat | None = None
    """What is aimed at; missed, it is said and breaks nothing."""
    less: bool = False
    """Whether less is better, of a figure with a goal and no bound."""
    optional: bool = False
    """Whether it is left out where a benchmark does not tell it, as of a peer that is not installed."""
    why: str = ""
    """What was seen when the bound was set."""

    @model_validator(mode="after")
    def _one_side(self) -> Self:
        if self.at_least is not None and self.at_most is not None:
            msg = f"{self.name} has both at_least and at_most"
            raise ValueError(msg)
        return self

    def held(self, value: float) -> bool:
        """Whether a value is inside its bound."""
        return (self.at_least is None or value >= self.at_least) and (self.at_most is None or value <= self.at_most)

    def reached(self, value: float) -> bool | None:
        """Whether a value reaches the goal; None where there is none."""
        if self.goal is None:
            return None
        return value <= self.goal if self.less or self.at_most is not None else value >= self.goal


class Subject(BaseModel):
    """One benchmark: how it is called and what it has to tell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    module: str | None = None
    """One that is run by itself; None: ``streamproc bench`` and the benchmark's name."""
    options: Sequence[str]
    figures: Sequence[Figure]


def read_bounds(path: Path) -> Mapping[str, Subject]:
    """Benchmarks by name, in the file's order. Raises NoBoundsError."""
    try:
        return TypeAdapter(dict[str, Subject]).validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        msg = f"the bounds in {path.name} cannot be read: {error}"
        raise NoBoundsError(msg) from error
