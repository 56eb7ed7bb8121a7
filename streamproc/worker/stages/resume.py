"""Resume: finished segments of a long recording are kept, so that its next owner computes only what is missing."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from streamproc.errors import FatalError, TierError
from streamproc.records.compute import Scored
from streamproc.records.decoding import SegmentReady
from streamproc.records.embedding import Computed, problem_of
from streamproc.records.finished import FinishedSegment, Stretch
from streamproc.records.identity import ModelIdentity
from streamproc.worker.core.price import Prices
from streamproc.worker.ports import Calls, SharedTier

Kept = Mapping[Stretch, Scored]
"""Values by what they are the values of."""


@dataclass(slots=True)
class Progress:
    """How far one recording is."""

    key: str
    """Its key of work."""
    embedding: bool = False
    """Whether scores without an embedding are no use to it."""
    seconds: float = 0.0
    """Of the device, predicted for what was decoded of it so far."""
    long: bool = False
    kept: Kept = field(default_factory=dict)
    """What a former owner finished."""
    fresh: list[FinishedSegment] = field(default_factory=list)
    """What is finished since, and not kept yet; only of a long one."""
    fresh_s: float = 0.0


class Resume:
    """Asks the shared tier once a recording proves long, and gives it groups of what is finished from then on.

    Long is what takes the device longer than ``share_s``, a micro-batch's share of a drain: it is alone in its
    micro-batch, and whatever ends its owner finds it unfinished. A group is worth as much, which is what can be lost.
    Scores are taken up by the stretch of audio that they are of: what another machine cut elsewhere is computed.
    """

    def __init__(
        self,
        shared: SharedTier | None,
        reads: Calls[tuple[int, int], Sequence[FinishedSegment]],
        writes: Calls[str, None],
        prices: Prices,
        share_s: float,
        identity: ModelIdentity,
    ) -> None:
        self._shared = shared
        self._reads = reads
        self._writes = writes
        self._prices = prices
        self._share_s = share_s
        self._identity = identity

    def decoded(
        self, ident: tuple[int, int], progress: Progress, ready: SegmentReady, finished: Sequence[Computed]
    ) -> Scored | None:
        """Note the next segment of a recording, of which these are ``finished``; its value, if that is known."""
        progress.seconds += self._prices.seconds(ready.end_ms - ready.start_ms)
        if self._shared is not None and not progress.long and progress.seconds > self._share_s:
            progress.long = True
            for one in finished:
                self._add(progress, one)
            self._reads.submit(ident, partial(self._shared.get_finished, progress.key))
        return self.known(progress, ready)

    def known(self, progress: Progress, ready: SegmentReady) -> Scored | None:
        """The value of a segment that a former owner finished."""
        return progress.kept.get(Stretch(ready.channel, ready.start_ms, ready.end_ms)) if progress.kept else None

    def finished(self, progress: Progress, computed: Computed) -> None:
        """Note that a segment was computed; keep it when there are enough for a group."""
        if progress.long:
            self._add(progress, computed)
            if progress.fresh_s >= self._share_s:
                self.keep(progress)

    def keep(self, progress: Progress) -> None:
        """Keep what is finished, however little it is: nobody here goes on with this recording."""
        if progress.fresh and self._shared is not None:
            group, progress.fresh, progress.fresh_s = tuple(progress.fresh), [], 0.0
            self._writes.submit(progress.key, partial(self._shared.keep_finished, progress.key, group))

    def step(self, find: Callable[[tuple[int, int]], Progress | None]) -> Iterator[tuple[int, int]]:
        """Take answers; yield whose recording has something kept."""
        for _, answer in self._writes.take():
            if isinstance(answer, Exception) and not isinstance(answer, TierError):
                raise FatalError(f"keeping segments failed in an unforeseen way: {answer!r}") from answer
        for ident, found in self._reads.take():
            if isinstance(found, TierError):
                continue  # the tier has counted it and said so; here it is as if nothing was kept
            if isinstance(found, Exception):
                raise FatalError(f"asking for kept segments failed in an unforeseen way: {found!r}") from found
            if found and (progress := find(ident)) is not None:
                usable = (one for one in found if self._usable(one, progress))
                progress.kept = {one.stretch: Scored(one.scores, one.embedding) for one in usable}
                yield ident

    def _usable(self, one: FinishedSegment, progress: Progress) -> bool:
        whole = not progress.embedding or not problem_of(one.embedding, self._identity.embed_dim)
        return len(one.scores) == len(self._identity.labels) and whole

    def _add(self, progress: Progress, computed: Computed) -> None:
        segment, embedding = computed
        stretch = Stretch(segment.channel, segment.start_ms, segment.end_ms)
        progress.fresh.append(FinishedSegment(stretch, segment.scores, embedding))
        progress.fresh_s += self._prices.seconds(segment.end_ms - segment.start_ms)
