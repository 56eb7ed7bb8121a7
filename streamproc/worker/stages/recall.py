"""Recall: which bytes an event names, where that is known without fetching them. Only with ``dedupe.trust``."""

from collections import deque
from collections.abc import Callable
from functools import partial

from streamproc.errors import FatalError, StoreError
from streamproc.records.alias import name_of
from streamproc.records.recording import RecordingEvent
from streamproc.records.stored import Tags
from streamproc.settings import DedupeSettings
from streamproc.worker.core.batch import MicroBatches
from streamproc.worker.core.instant import Instant
from streamproc.worker.ports import Calls, ObjectStore
from streamproc.worker.stages.aliases import Aliases
from streamproc.worker.stages.items import Admitted, Recalled


class Recall:
    """Finds the hash that an event declares, or that its object had under the same version or ETag before.

    Whatever fails here costs a fetch and nothing else: ``give`` goes on as if nothing were trusted.
    """

    def __init__(
        self,
        settings: DedupeSettings,
        store: ObjectStore,
        heads: Calls[Admitted, Tags],
        most_heads: int,
        aliases: Aliases,
        batches: MicroBatches,
    ) -> None:
        self._settings = settings
        self._store = store
        self._heads = heads
        self._most_heads = most_heads
        self._aliases = aliases
        aliases.answer = self._answered
        self._batches = batches
        self._now = Instant(0.0, 0)
        self._heading = 0
        """Objects that the store is asked about now."""
        self._unnamed: deque[Admitted] = deque()
        """Whose event says neither version nor ETag."""
        self.inbox: deque[Admitted] = deque()
        self.store_down: Callable[[], bool]
        self.give: Callable[[Admitted], None]
        self.recalled: Callable[[Recalled], None]

    def step(self, now: Instant) -> bool:
        """Look for what came in; what is known goes on without its bytes."""
        self._now = now
        took = bool(self.inbox)
        while self.inbox:
            self._look(self.inbox.popleft())
        named, told = self._take_tags(), self._ask_for_tags()
        return self._aliases.step() or took or named or told

    def learn(self, event: RecordingEvent, tags: Tags, sha256: str) -> None:
        """Remember what was fetched."""
        if self._settings.trust == "etag":
            self._aliases.learn(event, tags, sha256)

    def _look(self, admitted: Admitted) -> None:
        event = admitted.event
        if self._settings.trust == "declared":
            self._answered(admitted, event.content_sha256)
        elif self._settings.trust == "content":
            self.give(admitted)
        elif name := name_of(event, Tags(event.etag, event.version_id)):
            self._aliases.look(admitted, name)
        else:
            self._unnamed.append(admitted)

    def _take_tags(self) -> bool:
        answers = self._heads.take()
        for admitted, answer in answers:
            self._heading -= 1
            if isinstance(answer, Exception) and not isinstance(answer, StoreError):
                raise FatalError(f"asking about an object failed in an unforeseen way: {answer!r}") from answer
            name = None if isinstance(answer, Exception) else name_of(admitted.event, answer)
            if name is not None:
                self._aliases.look(admitted, name)
            else:
                self.give(admitted)
        return bool(answers)

    def _ask_for_tags(self) -> bool:
        """Ask the store what objects are now that no event says it of. One that is down is waited for by the fetch."""
        asked = False
        while self._unnamed and (self._heading < self._most_heads or self.store_down()):
            admitted = self._unnamed.popleft()
            event, asked = admitted.event, True
            if self.store_down() or not self._batches.wanted(admitted.taken):
                self.give(admitted)
                continue
            self._heading += 1
            self._heads.submit(admitted, partial(self._store.tags, event.bucket, event.object_key, event.version_id))
        return asked

    def _answered(self, admitted: Admitted, sha256: str | None) -> None:
        if sha256 is None:
            self.give(admitted)
            return
        self.recalled(Recalled(admitted, sha256, admitted.key(self._settings.scope, sha256), self._now.mono))
