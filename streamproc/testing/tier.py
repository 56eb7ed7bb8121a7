"""A shared tier in memory, with failures on demand."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence, Sized

from streamproc.errors import TierError
from streamproc.records.analysis import Analysis
from streamproc.records.finished import FinishedSegment


class MemorySharedTier:
    """Satisfies ``worker.ports.SharedTier``.

    Failures are plain attributes, which may be changed at any time:

    ``down``     while true every call raises TierError
    ``corrupt``  content keys whose value does not verify: they count as unknown until they are put again
    ``calls``    how often it was asked, failed calls too; nothing is asked where there is nothing to ask for
    ``refused``  how often of them it did not answer because it was down
    ``claims``   by content key: whose it is, and until when
    """

    def __init__(self, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.clock = clock
        self.claims: dict[str, tuple[str, float]] = {}
        self.down = False
        self.corrupt: set[str] = set()
        self.calls = 0
        self.refused = 0
        self._analyses: dict[str, Analysis] = {}
        self._aliases: dict[str, str] = {}
        self._finished: defaultdict[str, list[FinishedSegment]] = defaultdict(list)

    def get_many(self, keys: Sequence[str]) -> Mapping[str, Analysis]:
        """What is known of these content keys. Raises TierError."""
        self._call(keys)
        return {key: self._analyses[key] for key in keys if key in self._analyses and key not in self.corrupt}

    def put_many(self, analyses: Mapping[str, Analysis]) -> None:
        """Remember. Raises TierError."""
        self._call(analyses)
        self._analyses.update(analyses)
        self.corrupt.difference_update(analyses)

    def claim_many(self, keys: Sequence[str], owner: str, seconds: float) -> Collection[str]:
        """Claim what nobody else has claimed. Raises TierError. A claim ends after its time on ``clock``."""
        self._call(keys)
        now = self.clock()
        for key in keys:
            holder, until = self.claims.get(key, (owner, 0.0))
            if holder == owner or until <= now:
                self.claims[key] = owner, now + seconds
        return {key for key in keys if self.claims[key][0] == owner}

    def release_many(self, keys: Sequence[str], owner: str) -> None:
        """Give up claims. Raises TierError."""
        self._call(keys)
        for key in keys:
            if self.claims.get(key, ("", 0.0))[0] == owner:
                del self.claims[key]

    def get_aliases(self, names: Sequence[str]) -> Mapping[str, str]:
        """The SHA-256 that these aliases stand for. Raises TierError."""
        self._call(names)
        return {name: self._aliases[name] for name in names if name in self._aliases}

    def put_aliases(self, aliases: Mapping[str, str]) -> None:
        """Remember. Raises TierError."""
        self._call(aliases)
        self._aliases.update(aliases)

    def get_finished(self, key: str) -> Sequence[FinishedSegment]:
        """Segments that were kept under a content key. Raises TierError."""
        self._call((key,))
        return () if key in self.corrupt else tuple(self._finished.get(key, ()))

    def keep_finished(self, key: str, segments: Sequence[FinishedSegment]) -> None:
        """Keep a group of segments. Raises TierError."""
        self._call(segments)
        self._finished[key] += segments

    def _call(self, what: Sized) -> None:
        if not what:
            return
        self.calls += 1
        if self.down:
            self.refused += 1
            raise TierError("injected")


class MemoryArchive:
    """Satisfies ``worker.ports.Archive``. ``down``: while true every call raises TierError."""

    def __init__(self) -> None:
        self.down = False
        self.analyses: dict[str, Analysis] = {}

    def get(self, key: str) -> Analysis | None:
        """What is known of a content key. Raises TierError."""
        self._call()
        return self.analyses.get(key)

    def put(self, key: str, analysis: Analysis) -> None:
        """Keep an analysis. Raises TierError."""
        self._call()
        self.analyses[key] = analysis

    def _call(self) -> None:
        if self.down:
            raise TierError("injected")
