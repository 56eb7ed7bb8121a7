"""How many dead letters there are, of what."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from streamproc.operate.dlq.letter import Letter


@dataclass(slots=True)
class Count:
    """Dead letters of one reason and stage; times in ms since the epoch."""

    reason: str
    stage: str
    advice: str
    letters: int = 0
    open: int = 0
    """Of them, those that were not put back."""
    replayed: int = 0
    """Of the letters, those that had been put back before they came here again."""
    first_ms: int = 0
    last_ms: int = 0

    def add(self, letter: Letter) -> None:
        """Count one more."""
        at_ms = letter.told.at_ms
        self.first_ms = min(self.first_ms, at_ms) if self.letters else at_ms
        self.last_ms = max(self.last_ms, at_ms)
        self.letters += 1
        self.open += letter.put_back_ms is None
        self.replayed += letter.replays > 0


def count(letters: Iterable[Letter]) -> Sequence[Count]:
    """Per reason and stage, the most frequent first."""
    counts: dict[tuple[str, str], Count] = {}
    for letter in letters:
        told = letter.told
        counts.setdefault((told.reason, told.stage), Count(told.reason, told.stage, told.advice)).add(letter)
    return sorted(counts.values(), key=lambda one: (-one.letters, one.reason, one.stage))
