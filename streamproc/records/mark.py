"""Mark: what stands beside a committed offset, so that a record that kills whoever takes it comes to an end."""

import re
from dataclasses import dataclass

_NUMBER = "([0-9]{1,19})"
_TEXT = re.compile(f"sp1 open=(?:-|{_NUMBER}) crashes={_NUMBER} strikes={_NUMBER}")


@dataclass(frozen=True, slots=True)
class Mark:
    """What the next owner of a partition has to know of the last ones. Without arguments it says nothing."""

    open: int | None = None
    """Before this offset records may be in flight; None when the last owner let go of all of them."""
    crashes: int = 0
    """Owners in a row that ended with records in flight and had moved the offset nowhere."""
    strikes: int = 0
    """How often the record at the committed offset was alone in flight when its owner ended, or is so now."""

    def text(self) -> str:
        """As metadata of the offset: under 80 ASCII characters, a broker keeps 4096."""
        until = "-" if self.open is None else self.open
        return f"sp1 open={until} crashes={self.crashes} strikes={self.strikes}"


def read_mark(metadata: str) -> Mark:
    """Read metadata; whatever is not ours, or damaged, says nothing."""
    found = _TEXT.fullmatch(metadata)
    if found is None:
        return Mark()
    until, crashes, strikes = found.groups()
    return Mark(None if until is None else int(until), int(crashes), int(strikes))
