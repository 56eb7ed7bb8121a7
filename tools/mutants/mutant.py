"""A mutant: one mistake that somebody could make, and who has to find it."""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path


class StaleMutantError(Exception):
    """Raised when a mutant's old text does not stand in its file exactly once: a hole in the net that nobody sees."""


@dataclass(frozen=True, slots=True)
class Simulator:
    """The simulator is to find it, within so many seeds from 0."""

    seeds: int

    def __str__(self) -> str:
        return "simulator"


@dataclass(frozen=True, slots=True)
class NamedTests:
    """One of these tests is to find it: files, or tests as pytest names them."""

    paths: tuple[str, ...]

    def __str__(self) -> str:
        return "tests"


Killer = Simulator | NamedTests


@dataclass(frozen=True, slots=True)
class Mutant:
    """``old`` becomes ``new`` in ``file``, which is named from the repository's root."""

    name: str
    stands_for: str
    file: str
    old: str
    new: str
    killer: Killer

    def check(self, root: Path) -> None:
        """Raise StaleMutantError when it cannot be made of what is in ``root``."""
        path = root / self.file
        found = path.read_text().count(self.old) if path.is_file() else 0
        if found != 1:
            raise StaleMutantError(
                f"{self.name}: its old text stands in {self.file} {found} times, not once: say anew what it breaks"
            )

    def apply(self, root: Path) -> None:
        """Make it of what is in ``root``. Raises StaleMutantError, and SyntaxError when it is not Python any more."""
        self.check(root)
        path = root / self.file
        text = path.read_text().replace(self.old, self.new)
        compile(text, str(path), "exec")
        path.write_text(text)
        # Bytecode is known by the second of its source and by its size, and both may be the same.
        Path(cache_from_source(path)).unlink(missing_ok=True)


def find(mutants: Iterable[Mutant], names: Iterable[str]) -> tuple[Mutant, ...]:
    """Those of these names, in the order of the catalogue. Raises KeyError for a name that none has."""
    by_name = {mutant.name: mutant for mutant in mutants}
    wanted = {name: by_name[name] for name in names}
    return tuple(mutant for name, mutant in by_name.items() if name in wanted)
