"""A record between two stages: each stage takes one of these and gives the next. ``at`` is when it was given."""

from dataclasses import dataclass
from typing import Literal

from streamproc.records.analysis import Analysis, Tier
from streamproc.records.identity import content_key, scope, work_key
from streamproc.records.recording import RecordingEvent
from streamproc.worker.core.batch import Taken


@dataclass(frozen=True, slots=True)
class Admitted:
    """A record whose event may be acted on."""

    taken: Taken
    event: RecordingEvent
    fingerprint: str
    at: float
    deaths: int = 0
    """Decoder children that ended with its recording."""

    def key(self, shared_by: Literal["global", "tenant"], sha256: str) -> str:
        """Its key of work, once its bytes are known."""
        content = content_key(scope(shared_by, self.event.tenant), sha256, self.fingerprint)
        return work_key(content, embedding=self.event.wants_embedding)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A record whose bytes are here and checked."""

    admitted: Admitted
    body: bytes
    sha256: str
    key: str
    """The key of work."""
    at: float

    @property
    def taken(self) -> Taken:
        """The record itself."""
        return self.admitted.taken


@dataclass(frozen=True, slots=True)
class Recalled:
    """A record whose content is known, as far as is trusted, while its bytes were not fetched."""

    admitted: Admitted
    sha256: str
    key: str
    """The key of work."""
    at: float

    @property
    def taken(self) -> Taken:
        """The record itself."""
        return self.admitted.taken


@dataclass(frozen=True, slots=True)
class Analysed:
    """A record whose analysis is known."""

    admitted: Admitted
    sha256: str
    key: str
    """The key of work."""
    analysis: Analysis
    tier: Tier
    at: float
