"""What was found: every difference of every clip, and whether a bound was broken."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from streamproc.arena import SAMPLE_RATE
from tools.parity.bounds import BOUNDS, SATURATED, Against, Output
from tools.parity.clips import Clip
from tools.parity.ours import Value

ALONE = "alone"
MOSTLY = 0.5


@dataclass(frozen=True, slots=True)
class Found:
    """How far one clip's numbers lay from what they were compared with."""

    difference: float
    clip: Clip
    company: str
    """The composition of the batch that it ran in."""


@dataclass(frozen=True, slots=True)
class Row:
    """One output against one reference, over all clips and batches."""

    output: Output
    against: Against
    compared: int
    p999: float
    worst: Found

    @property
    def of_bound(self) -> float:
        """The largest difference as a share of its bound."""
        return self.worst.difference / BOUNDS[self.against].of(self.output)


@dataclass(slots=True)
class Tally:
    """Of one model."""

    name: str
    parameters: int
    reference_parameters: int
    """FunASR's own count of its own network."""
    choices: Sequence[str] = ()
    """What our start chose on this machine, and from what."""
    audio_s: float = 0
    batches: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    highest: list[float] = field(default_factory=list)
    """FunASR's highest score of each clip."""
    labels: set[int] = field(default_factory=set)
    """Places of the labels that FunASR gave."""
    control: dict[Output, float] = field(default_factory=dict)
    """The largest differences when FunASR pads a batch itself."""
    found: dict[tuple[Against, Output], list[Found]] = field(default_factory=lambda: defaultdict(list))

    @property
    def clips(self) -> int:
        """How many were compared."""
        return len(self.highest)

    def judged(self, clip: Clip, expected: Value) -> None:
        """Note what FunASR says of a clip."""
        self.audio_s += clip.samples / SAMPLE_RATE
        self.highest.append(float(expected.scores.max()))
        self.labels.add(int(expected.scores.argmax()))

    def compare(self, against: Against, clip: Clip, company: str, found: Value, expected: Value) -> None:
        """Note how far a clip's numbers lie from those of a reference."""
        for output, difference in found.differences(expected).items():
            self.found[against, output].append(Found(difference, clip, company))

    def rows(self) -> Iterator[Row]:
        """By reference and output."""
        for (against, output), found in self.found.items():
            worst = max(found, key=lambda one: one.difference)
            p999 = float(np.quantile([one.difference for one in found], 0.999, method="inverted_cdf"))
            yield Row(output, against, len(found), p999, worst)

    @property
    def unsaturated(self) -> float:
        """Share of the clips whose highest score leaves room for errors to be seen."""
        return sum(highest < SATURATED for highest in self.highest) / len(self.highest)

    def faults(self, parameters: int, *, random_weights: bool) -> Iterator[str]:
        """What did not hold; of scores that cannot show an error, too."""
        if {self.parameters, self.reference_parameters} != {parameters}:
            counts = f"ours {self.parameters:,}, FunASR's {self.reference_parameters:,}"
            yield f"{self.name}: {counts}, not {parameters:,} parameters"
        for row in self.rows():
            if row.of_bound > 1:
                yield (
                    f"{self.name}: {row.output} against {row.against}: {row.worst.difference:.2e} of {row.worst.clip} "
                    f"({row.worst.company}) is over {BOUNDS[row.against].of(row.output):.0e}"
                )
        if random_weights and (self.unsaturated <= MOSTLY or len(self.labels) == 1):
            yield f"{self.name}: {self.unsaturated:.0%} of the scores are under {SATURATED}, labels {self.labels}"
        for output, difference in self.control.items():
            if difference <= BOUNDS[Against.FUNASR].of(output):
                yield f"{self.name}: FunASR's own padded batch keeps the bound of {output}, so the bound shows nothing"
