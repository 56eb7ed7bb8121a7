"""Records on topics of ours that nobody of ours wrote: passed over, and told."""

from dataclasses import dataclass

from streamproc.operate.place import Place
from streamproc.records.record import Record


@dataclass(slots=True)
class Foreign:
    """How many were passed over so far, and what is wrong with the first."""

    count: int = 0
    first: str = ""

    def note(self, record: Record, why: str) -> None:
        """Count one more."""
        if not self.count:
            self.first = f"{Place(record.source, record.offset)} {why}"
        self.count += 1

    @property
    def line(self) -> str:
        """For people."""
        records = "1 record was" if self.count == 1 else f"{self.count:,} records were"
        return f"{records} passed over: {self.first}. Does another program write there?"
