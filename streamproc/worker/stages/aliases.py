"""Aliases: which bytes an object's version or ETag stood for before, here or at another worker."""

from collections.abc import Callable, Mapping
from functools import partial

from streamproc.records.alias import names_of
from streamproc.records.recording import RecordingEvent
from streamproc.records.stored import Tags
from streamproc.worker.ports import Calls, NearAliases, SharedTier
from streamproc.worker.stages.items import Admitted
from streamproc.worker.stages.tiers import or_else

Known = Mapping[str, str]
"""SHA-256 by alias."""


class Aliases:
    """Asks this process first, then the shared tier, in one question for all who came meanwhile."""

    def __init__(
        self,
        near: NearAliases,
        shared: SharedTier | None,
        reads: Calls[tuple[str, ...], Known],
        writes: Calls[tuple[str, ...], None],
    ) -> None:
        self._near = near
        self._shared = shared
        self._reads = reads
        self._writes = writes
        self._to_read: list[tuple[Admitted, str]] = []
        self._asked: list[tuple[Admitted, str]] = []
        """Those that the shared tier is being asked about."""
        self._to_write: dict[str, str] = {}
        self._writing = False
        self.answer: Callable[[Admitted, str | None], None]
        """Takes each record that was looked for, with the hash of its bytes if that is known."""

    def look(self, admitted: Admitted, name: str) -> None:
        """Look for an object by its name."""
        known = self._near.get(name)
        if known is not None or self._shared is None:
            self.answer(admitted, known)
        else:
            self._to_read.append((admitted, name))

    def learn(self, event: RecordingEvent, tags: Tags, sha256: str) -> None:
        """Remember which bytes an object had under these tags."""
        for name in names_of(event, tags):
            self._near.put(name, sha256)
            if self._shared is not None:
                self._to_write[name] = sha256

    def step(self) -> bool:
        """Take the shared tier's answers, ask it what is wanted by now."""
        read = self._read()
        return self._write() or read

    def _read(self) -> bool:
        answers = self._reads.take()
        for _, answer in answers:
            found: Known = or_else(answer, {})
            asked, self._asked = self._asked, []
            for admitted, name in asked:
                if (sha256 := found.get(name)) is not None:
                    self._near.put(name, sha256)
                self.answer(admitted, sha256)
        if self._to_read and not self._asked and self._shared is not None:
            self._asked, self._to_read = self._to_read, []
            wanted = tuple(dict.fromkeys(name for _, name in self._asked))
            self._reads.submit(wanted, partial(self._shared.get_aliases, wanted))
            return True
        return bool(answers)

    def _write(self) -> bool:
        answers = self._writes.take()
        for _, answer in answers:
            self._writing = False
            or_else(answer, None)
        if self._to_write and not self._writing and self._shared is not None:
            aliases, self._to_write = self._to_write, {}
            self._writing = True
            self._writes.submit(tuple(aliases), partial(self._shared.put_aliases, aliases))
            return True
        return bool(answers)
