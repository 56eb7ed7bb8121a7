"""What is set below ``dedupe``."""

from typing import Literal

from streamproc.kinds import Count, NotNegative
from streamproc.settings.section import Section


class DedupeSettings(Section):
    """How far a known analysis is shared."""

    scope: Literal["global", "tenant"] = "global"
    """Whom equal bytes are computed once for: everybody, or each tenant by itself."""
    trust: Literal["content", "etag", "declared"] = "content"
    """What spares a fetch: nothing, so that all bytes are hashed; the version or ETag of an object that was fetched
    before; or the sha256 that the event declares, from producers you trust."""
    claim_wait_s: NotNegative = 2
    """How long a worker waits for an analysis that another one is computing, before it computes it too; 0: not at all.
    It holds up its micro-batch by as much."""
    archive: bool = False
    """Keep analyses in ``storage.bucket`` too, under ``analyses/``, for as long as you keep them there. What is new
    costs a GET and a PUT more."""
    archive_waiting_bytes: Count = 16 * 1024**2
    """What may wait to be archived. Beyond it the oldest are not: they cost the work once more, one day."""
    memory_bytes: Count = 64 * 1024**2
    """What a worker remembers by itself."""
    alias_bytes: Count = 16 * 1024**2
    """What a worker remembers of objects' versions and ETags, with ``trust`` on ``etag``."""
