"""What is set below ``storage``."""

from pydantic import SecretStr

from streamproc.kinds import Count, Names, Positive, WebAddress
from streamproc.settings.section import Section


class StorageSettings(Section):
    """The object store (S3 API)."""

    endpoint: WebAddress = "http://127.0.0.1:9000"
    """http(s)://host[:port], and nothing more."""
    access_key: SecretStr = SecretStr("")
    """With ``secret_key``; without both, requests are not signed."""
    secret_key: SecretStr = SecretStr("")
    region: str = "us-east-1"
    bucket: str = "recordings"
    """Where ``publish`` stores recordings; an event may name others that are allowed."""
    allowed_buckets: Names = ()
    """Buckets an event may name; empty means just ``bucket``."""
    connect_timeout_s: Positive = 3
    read_timeout_s: Positive = 15
    """The longest silence of the store."""
    object_timeout_s: Positive = 120
    """The longest time for one whole object, however steadily its bytes drip."""
    straggler_s: Positive = 10
    """An object that takes longer, and longer than its declared size takes at ``slowest_bytes_per_s``, goes to a lane
    and holds its neighbours up no more. One whose event declares no size has ``object_timeout_s``."""
    slowest_bytes_per_s: Count = 2 * 1024**2
    """The slowest that a large object may come."""
    young_s: Positive = 60
    """A missing object of an event younger than this is not there yet; of an older one it is missing."""

    @property
    def buckets(self) -> frozenset[str]:
        """Every bucket that an event may name."""
        return frozenset(self.allowed_buckets or (self.bucket,))
