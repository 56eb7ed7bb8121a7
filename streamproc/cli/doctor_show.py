"""What a check found, for people."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from rich.text import Text

from streamproc.cli.speak import with_program
from streamproc.operate.doctor.examine import Examined
from streamproc.operate.doctor.finding import Verdict

_COLOURS: Mapping[Verdict, str] = MappingProxyType(
    {
        Verdict.WELL: "green",
        Verdict.DOUBTFUL: "yellow",
        Verdict.UNKNOWN: "yellow",
        Verdict.WRONG: "bold red",
    }
)
_WIDTH = max(map(len, Verdict))
_INDENT = _WIDTH + 2


def lines(found: Examined) -> Iterator[Text]:
    """One line that says how it is and what to do; below it the details."""
    line = Text(f"{found.verdict:<{_WIDTH}}  ", _COLOURS[found.verdict]).append(f"{found.check}: ", "bold")
    line.append(with_program(found.says), "none")
    if found.advice:
        line.append(with_program(f". {found.advice}"), "none")
    yield line
    for detail in found.details:
        yield Text(" " * _INDENT + detail, "dim")
