"""What the settings' Redis is, asked before a worker starts. Nothing of it is left behind."""

import uuid
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError

from streamproc.dedupe.deadline import Deadline, connect
from streamproc.errors import TierError
from streamproc.settings import RedisSettings, without_credentials
from streamproc.telemetry.clock import Clock

TRIAL_PREFIX = "sp:d:"
_TRIAL_MS = 2_000
"""A trial key is gone after this even when we are."""


@dataclass(frozen=True, slots=True)
class RedisState:
    """What it says of itself."""

    address: str
    version: str
    most_bytes: int
    """``maxmemory``; 0 means no limit."""
    policy: str
    """``maxmemory-policy``: what goes when that is reached."""
    ahead_ms: int
    """How far its clock is ahead of ours, at least."""


def look(settings: RedisSettings, clock: Clock, within_s: float) -> RedisState:
    """Ask it, and try what a worker does, in ``within_s`` altogether: write a key that expires, read it, remove it.

    Raises TierError, which holds no password; UsageError for a url that Redis cannot have.
    """
    url = settings.url.get_secret_value() if settings.url else ""
    address = without_credentials(url)
    deadline = Deadline(within_s)
    client = connect(url, deadline)
    try:
        with client, deadline.call():
            return _look(client, address, clock)
    except RedisError as error:
        raise TierError(f"{address} (redis.url): {type(error).__name__}: {error}") from None


def _look(client: Redis, address: str, clock: Clock) -> RedisState:
    key, value = TRIAL_PREFIX + uuid.uuid4().hex, b"doctor"
    client.set(key, value, px=_TRIAL_MS)
    found = client.get(key)
    client.delete(key)
    if found != value:
        raise TierError(f"{address} (redis.url): what was written a moment ago does not come back")
    before = clock.wall_ms()
    seconds, micros = client.time()
    after = clock.wall_ms()
    now = int(seconds) * 1000 + int(micros) // 1000
    memory, server = client.info("memory"), client.info("server")
    return RedisState(
        address,
        str(server["redis_version"]),
        int(memory["maxmemory"]),
        str(memory["maxmemory_policy"]),
        max(0, now - after) or min(0, now - before),
    )
