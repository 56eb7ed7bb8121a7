"""What is set below ``redis``."""

from pydantic import SecretStr

from streamproc.kinds import Count, Positive, RedisAddress
from streamproc.settings.section import Section


class RedisSettings(Section):
    """The shared tier. An empty url runs without it."""

    url: RedisAddress = SecretStr("redis://127.0.0.1:6379/0")
    """As in redis://host:6379/0, rediss:// for TLS; empty runs without it."""
    timeout_s: Positive = 0.5
    """For one request, with connecting and its whole answer. Work goes on without the tier when it is slower."""
    ttl_s: Count = 86_400
    """How long an analysis is remembered."""
