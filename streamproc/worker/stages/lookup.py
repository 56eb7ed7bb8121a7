"""Lookup: whether the analysis of some bytes is known already, here or elsewhere, or is being computed just now."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from streamproc.errors import PoisonError, Reason, RecordError, Stage
from streamproc.records.analysis import Analysis, Tier
from streamproc.records.identity import content_of
from streamproc.telemetry.metrics import Metrics
from streamproc.worker.core.batch import MicroBatches, Taken
from streamproc.worker.core.credits import ZERO, Credits
from streamproc.worker.core.instant import Instant
from streamproc.worker.core.price import Prices
from streamproc.worker.ports import NearTier
from streamproc.worker.stages.items import Admitted, Analysed, Fetched, Recalled
from streamproc.worker.stages.tiers import Tiers


class Lookup:
    """The tiers in order, and single flight: equal content in flight is computed once, by the first that came."""

    def __init__(  # its parts
        self, near: NearTier, tiers: Tiers, prices: Prices, batches: MicroBatches, credit: Credits, metrics: Metrics
    ) -> None:
        self._near = near
        self._prices = prices
        self._tiers = tiers
        tiers.answer = self._answered
        self._batches = batches
        self._credit = credit
        self._metrics = metrics
        self._leaders: dict[str, Fetched | Recalled] = {}
        self._waiting: dict[str, list[Fetched | Recalled]] = {}
        self._now = Instant(0.0, 0)
        self.inbox: deque[Fetched | Recalled] = deque()
        self.give: Callable[[Fetched], None]
        self.known: Callable[[Analysed], None]
        self.fail: Callable[[Taken, RecordError], None]
        self.again: Callable[[Admitted], None]
        """Takes a record whose bytes are needed after all."""

    def step(self, now: Instant) -> bool:
        """Look up what came in."""
        self._now = now
        took = bool(self.inbox)
        while self.inbox:
            self._look(self.inbox.popleft(), now)
        return self._tiers.step(now) or took

    def computed(self, fetched: Fetched, analysis: Analysis, now: Instant) -> None:
        """Remember a fresh analysis and give it to all who wait for it. A pure value: it is stored at once.

        One with embeddings is remembered twice: as it is, and as who wants none would have computed it.
        """
        known = {fetched.key: analysis, content_of(fetched.key): analysis.without_embeddings()}
        for key, value in known.items():
            self._near.put(key, value)
            self._tiers.put(key, value)
        self._resolve(fetched.key, analysis, Tier.COMPUTED, now)

    def failed(self, fetched: Fetched, error: RecordError) -> None:
        """Let those who wait for the same content share a verdict on it; anything else they try themselves."""
        verdict = isinstance(error, PoisonError) or error.reason is Reason.KILLED_WORKER
        if self._batches.wanted(fetched.taken):
            self.fail(fetched.taken, error)
        for waiting in self._give_up(fetched):
            if verdict:
                if self._batches.wanted(waiting.taken):
                    self.fail(waiting.taken, error)
            else:
                self._fetch_again(waiting)

    def dropped(self, fetched: Fetched | Recalled) -> None:
        """Go on without a leader whose record is not ours any more."""
        for waiting in self._give_up(fetched):
            self._fetch_again(waiting)

    def repeat(self, fetched: Fetched, deaths: int) -> None:
        """Begin again with a leader whose bytes ended so many decoders, and with those who want the same bytes."""
        for one in (*self._give_up(fetched), fetched):  # the leader last, which puts it first in the line
            self._fetch_again(replace(one, admitted=replace(one.admitted, deaths=deaths)))

    def let_go(self) -> None:
        """Keep no bytes of a record that is not wanted any more while the shared tier is asked about them."""
        for key, leader in self._leaders.items():
            if isinstance(leader, Fetched) and leader.body and not self._batches.wanted(leader.taken):
                self._leaders[key] = replace(leader, body=b"")

    def _give_up(self, fetched: Fetched | Recalled) -> Sequence[Fetched | Recalled]:
        """End a flight; who waited for it, last first. Somebody else may lead another flight for these bytes by now."""
        leader = self._leaders.get(fetched.key)
        if leader is None or leader.taken.ident != fetched.taken.ident:
            return ()
        del self._leaders[fetched.key]
        self._tiers.give_up(fetched.key)
        return self._waiting.pop(fetched.key, [])[::-1]

    def _look(self, one: Fetched | Recalled, now: Instant) -> None:
        if not self._batches.wanted(one.taken):
            return
        leader = self._leaders.get(one.key)
        if one.taken.probe and leader is None:
            # What is known says nothing of what is to be computed, which is what is tried.
            self._leaders[one.key] = one
            self._miss(one, now)
        elif not one.taken.probe and (analysis := self._near.get(one.key)) is not None:
            self._known(one, analysis, Tier.MEMORY, now)
        elif leader is None:
            self._leaders[one.key] = one
            self._tiers.ask(one.key)
        elif isinstance(leader, Recalled) and isinstance(one, Fetched):
            # It has the bytes, should they be needed.
            self._leaders[one.key] = one
            self._waiting.setdefault(one.key, []).insert(0, leader)
        else:
            self._wait(one)

    def _wait(self, one: Fetched | Recalled) -> None:
        """Let one wait for a leader. It needs no bytes: they are the leader's."""
        self._credit.adjust(one.taken.ident, ZERO)
        waiting = replace(one, body=b"") if isinstance(one, Fetched) else one
        self._waiting.setdefault(one.key, []).append(waiting)

    def _answered(self, key: str, analysis: Analysis | None, tier: Tier) -> None:
        leader = self._leaders[key]
        if analysis is not None and (analysis.embeddings or not leader.admitted.event.wants_embedding):
            self._near.put(key, analysis)
            self._resolve(key, analysis, tier, self._now)
        elif self._batches.wanted(leader.taken):
            self._miss(leader, self._now)
        else:
            self.dropped(leader)

    def _miss(self, leader: Fetched | Recalled, now: Instant) -> None:
        if isinstance(leader, Fetched):
            self._prepare(leader, now)
            return
        # Nobody has the bytes, and whose fetch would bring them is not known before it has: each goes its own way.
        for waiting in (*self._give_up(leader), leader):
            self._fetch_again(waiting)

    def _prepare(self, fetched: Fetched, now: Instant) -> None:
        self._metrics.stage_seconds[Stage.LOOKUP].observe(now.mono - fetched.at)
        self._leaders[fetched.key] = replace(fetched, body=b"")  # the bytes go on to be decoded; here they would linger
        self.give(replace(fetched, at=now.mono))

    def _resolve(self, key: str, analysis: Analysis, tier: Tier, now: Instant) -> None:
        leader = self._leaders.pop(key)
        members: Sequence[tuple[Fetched | Recalled, Tier]] = [
            (leader, tier),
            *((waiting, Tier.MEMORY) for waiting in self._waiting.pop(key, [])),
        ]
        for one, source in members:
            if self._batches.wanted(one.taken):
                self._known(one, analysis, source, now)

    def _known(self, one: Fetched | Recalled, analysis: Analysis, tier: Tier, now: Instant) -> None:
        if tier is not Tier.COMPUTED:
            self._metrics.stage_seconds[Stage.LOOKUP].observe(now.mono - one.at)
            self._metrics.saved_audio_seconds.inc(analysis.info.duration_ms / 1000)
            lengths = (segment.end_ms - segment.start_ms for segment in analysis.segments)
            self._metrics.saved_device_seconds.inc(sum(map(self._prices.seconds, lengths)))
        if isinstance(one, Recalled):
            self._metrics.fetches_skipped.inc()
        self._metrics.analyses[tier].inc()
        self.known(Analysed(one.admitted, one.sha256, one.key, analysis, tier, now.mono))

    def _fetch_again(self, waiting: Fetched | Recalled) -> None:
        if self._batches.wanted(waiting.taken):
            self._credit.give(waiting.taken.ident)
            self.again(waiting.admitted)
