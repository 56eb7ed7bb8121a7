"""Tiers: what other workers know of some content, now or from long ago; and who of them is to compute it."""

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from streamproc.errors import FatalError, TierError
from streamproc.records.analysis import Analysis, Tier
from streamproc.settings import DedupeSettings
from streamproc.telemetry.log import get_log
from streamproc.telemetry.metrics import Metrics, TierFault
from streamproc.worker.core.instant import Instant
from streamproc.worker.ports import Archive, Calls, SharedTier
from streamproc.worker.stages.unarchived import Unarchived

log = get_log(__name__)

Found = Mapping[str, Analysis]
Keys = tuple[str, ...]
V = TypeVar("V")

CLAIM_S = 60.0
"""How long a claim stands whose worker says no more of it."""
ASK_AGAIN_S = 0.1
"""How often the value is looked for that another worker computes."""
MOST_ARCHIVED = 8
"""Objects of the archive that are read, and that are written, at a time."""


@dataclass(frozen=True, slots=True)
class TierCalls:
    """What runs elsewhere."""

    reads: Calls[Keys, Found]
    writes: Calls[Keys, None]
    claims: Calls[Keys, Collection[str]]
    releases: Calls[Keys, None]
    archive_reads: Calls[str, Analysis | None]
    archive_writes: Calls[str, None]


@dataclass(slots=True)
class _Wait:
    """For a value that another worker claimed (monotonic seconds)."""

    until: float
    again_at: float


class Tiers:
    """Answers each content key that is asked for once: with its analysis, or with None to whoever is to compute it.

    First the shared tier, in one question for all who came meanwhile; then the archive; then a claim, which makes the
    second of two workers wait for the first, for ``dedupe.claim_wait_s`` at most. A claim is advice: values are pure,
    so a lost one costs work and never truth. Whatever fails here is a miss.
    """

    def __init__(
        self,
        shared: SharedTier | None,
        archive: Archive | None,
        calls: TierCalls,
        owner: str,
        settings: DedupeSettings,
        metrics: Metrics,
    ) -> None:
        self._shared = shared
        self._archive = archive
        self._calls = calls
        self._owner = owner
        self._wait_s = settings.claim_wait_s
        self._metrics = metrics
        self._to_read: list[str] = []
        self._reading = False
        self._asked_again: Collection[str] = ()
        """Of the keys that are being read, those that were waited for."""
        self._to_claim: list[str] = []
        self._claiming = False
        self._waiting: dict[str, _Wait] = {}
        self._claimed: set[str] = set()
        self._to_release: list[str] = []
        self._to_write: dict[str, Analysis] = {}
        self._writing = False
        self._unread: deque[str] = deque()
        self._archive_reads = 0
        self._unwritten = Unarchived(settings.archive_waiting_bytes)
        self._archive_writes = 0
        self.answer: Callable[[str, Analysis | None, Tier], None]

    def ask(self, key: str) -> None:
        """Look for a key, which is not being looked for."""
        if self._shared is not None:
            self._to_read.append(key)
        else:
            self._missed(key)

    def put(self, key: str, analysis: Analysis) -> None:
        """Remember what was computed. A claim on it has no meaning any more: who looks finds the value first."""
        self._claimed.discard(key)
        if self._shared is not None:
            self._to_write[key] = analysis
        if self._archive is not None:
            self._metrics.tier_errors[TierFault.BEHIND].inc(self._unwritten.add(key, analysis))

    def give_up(self, key: str) -> None:
        """Let others compute what was to be computed here."""
        if key in self._claimed:
            self._claimed.discard(key)
            self._to_release.append(key)

    def archive_no_more(self) -> None:
        """Let go of what waits to be archived: who stops keeps no partitions for it. What is on its way goes on."""
        if forgotten := self._unwritten.clear():
            self._metrics.tier_errors[TierFault.BEHIND].inc(forgotten)
            log.warning("analyses are not archived: the worker stops", count=forgotten)

    def step(self, now: Instant) -> bool:
        """Take answers, ask what is wanted by now."""
        moved = [self._read(now), self._look_in_archive(), self._claim(now), self._release(), self._write()]
        return any(moved) or self._write_archive()

    # --- the shared tier ---------------------------------------------------------------------------------------------

    def _read(self, now: Instant) -> bool:
        answers = self._calls.reads.take()
        for keys, answer in answers:
            self._reading = False
            found: Found = or_else(answer, {})
            for key in keys:
                if key in self._asked_again and key not in self._waiting:
                    continue  # too late
                if key in found:
                    self._waiting.pop(key, None)
                    self.answer(key, found[key], Tier.REDIS)
                elif key not in self._waiting:
                    self._missed(key)
        expired = self._expire(now)
        again = () if self._reading else tuple(self._waited(now))
        if (self._to_read or again) and not self._reading and self._shared is not None:
            keys, self._to_read = (*self._to_read, *again), []
            self._reading, self._asked_again = True, again
            self._calls.reads.submit(keys, partial(self._shared.get_many, keys))
            return True
        return expired or bool(answers)

    def _expire(self, now: Instant) -> bool:
        """Wait no more for what was waited for long enough, whatever a slow tier is being asked; whether any was."""
        expired = [key for key, wait in self._waiting.items() if now.mono >= wait.until]
        for key in expired:
            del self._waiting[key]
            self.answer(key, None, Tier.COMPUTED)
        return bool(expired)

    def _waited(self, now: Instant) -> Iterator[str]:
        """Keys whose value may be there by now."""
        for key, wait in self._waiting.items():
            if now.mono >= wait.again_at:
                wait.again_at = now.mono + ASK_AGAIN_S
                yield key

    def _write(self) -> bool:
        answers = self._calls.writes.take()
        for _, answer in answers:
            self._writing = False
            or_else(answer, None)
        if self._to_write and not self._writing and self._shared is not None:
            analyses, self._to_write = self._to_write, {}
            self._writing = True
            self._calls.writes.submit(tuple(analyses), partial(self._shared.put_many, analyses))
            return True
        return bool(answers)

    def _missed(self, key: str) -> None:
        if self._archive is not None:
            self._unread.append(key)
        else:
            self._unknown(key)

    # --- claims ------------------------------------------------------------------------------------------------------

    def _unknown(self, key: str) -> None:
        if self._shared is not None and self._wait_s:
            self._to_claim.append(key)
        else:
            self.answer(key, None, Tier.COMPUTED)

    def _claim(self, now: Instant) -> bool:
        answers = self._calls.claims.take()
        for keys, answer in answers:
            self._claiming = False
            ours: Collection[str] = or_else(answer, keys)
            for key in keys:
                if key in ours:
                    self._claimed.add(key)
                    self.answer(key, None, Tier.COMPUTED)
                else:
                    self._waiting[key] = _Wait(now.mono + self._wait_s, now.mono + ASK_AGAIN_S)
        if self._to_claim and not self._claiming and self._shared is not None:
            keys, self._to_claim = tuple(self._to_claim), []
            self._claiming = True
            self._calls.claims.submit(keys, partial(self._shared.claim_many, keys, self._owner, CLAIM_S))
            return True
        return bool(answers)

    def _release(self) -> bool:
        answers = self._calls.releases.take()
        for _, answer in answers:
            or_else(answer, None)
        if self._to_release and self._shared is not None:
            keys, self._to_release = tuple(self._to_release), []
            self._calls.releases.submit(keys, partial(self._shared.release_many, keys, self._owner))
            return True
        return bool(answers)

    # --- the archive -------------------------------------------------------------------------------------------------

    def _look_in_archive(self) -> bool:
        answers = self._calls.archive_reads.take()
        for key, answer in answers:
            self._archive_reads -= 1
            analysis: Analysis | None = or_else(answer, None)
            if analysis is None:
                self._unknown(key)
                continue
            if self._shared is not None:
                self._to_write[key] = analysis
            self.answer(key, analysis, Tier.ARCHIVE)
        began = False
        while self._archive is not None and self._unread and self._archive_reads < MOST_ARCHIVED:
            key = self._unread.popleft()
            self._archive_reads += 1
            self._calls.archive_reads.submit(key, partial(self._archive.get, key))
            began = True
        return bool(answers) or began

    def _write_archive(self) -> bool:
        answers = self._calls.archive_writes.take()
        for _, answer in answers:
            self._archive_writes -= 1
            or_else(answer, None)
        began = False
        while self._archive is not None and self._unwritten and self._archive_writes < MOST_ARCHIVED:
            key, analysis = self._unwritten.take()
            self._archive_writes += 1
            self._calls.archive_writes.submit(key, partial(self._archive.put, key, analysis))
            began = True
        return bool(answers) or began


def or_else(answer: V | Exception, otherwise: V) -> V:
    """What a tier said, or what its silence means: the tier has counted it and said so, for records it is a miss."""
    if isinstance(answer, TierError):
        return otherwise
    if isinstance(answer, Exception):
        raise FatalError(f"a tier failed in an unforeseen way: {answer!r}") from answer
    return answer
