"""The tier that workers share, in Redis. Nothing depends on it but the work that it saves."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from redis.exceptions import InvalidResponse, RedisError, ResponseError

from streamproc.dedupe.breaker import Breaker, BreakerPolicy
from streamproc.dedupe.deadline import Deadline, connect
from streamproc.errors import TierError
from streamproc.records.alias import hash_from_bytes, hash_to_bytes
from streamproc.records.analysis import Analysis
from streamproc.records.finished import FinishedSegment
from streamproc.records.finished_codec import finished_from_bytes, finished_to_bytes
from streamproc.settings import RedisSettings, without_credentials
from streamproc.telemetry.clock import Clock
from streamproc.telemetry.log import get_log
from streamproc.telemetry.metrics import Dependency, Metrics, TierFault

PREFIX = "sp:a:"
FINISHED_PREFIX = "sp:f:"
ALIAS_PREFIX = "sp:o:"
CLAIM_PREFIX = "sp:c:"
AGAIN_KEY = "sp:p:again"
"""Written by who finds out whether Redis is back: one that is full or read-only answers, and is of no use."""
_AGAIN_MS = 1_000
MOST_VALUE_BYTES = 8 * 1024 * 1024
"""Values over this are not written; reading has no bound. Four hours of eight split channels are 7,680 segments of
about 130 bytes: 1 MB."""

POLICY = BreakerPolicy()

_CLAIM = """
local ours = {}
for i, key in ipairs(KEYS) do
  if redis.call('set', key, ARGV[1], 'nx', 'px', ARGV[2]) or redis.call('get', key) == ARGV[1] then
    ours[i] = 1
  else
    ours[i] = 0
  end
end
return ours
"""
"""One script for all: a call for each would cost three times as much."""
_RELEASE = """
for _, key in ipairs(KEYS) do
  if redis.call('get', key) == ARGV[1] then
    redis.call('del', key)
  end
end
"""

_log = get_log(__name__)


def redis_key(content_key: str) -> str:
    """The name of a content key in Redis, in 55 characters instead of over a hundred."""
    return PREFIX + _name(content_key)


def finished_key(content_key: str) -> str:
    """The name of the hash that holds the finished segments of a content key, one group a field."""
    return FINISHED_PREFIX + _name(content_key)


def claim_key(content_key: str) -> str:
    """The name of the claim on a content key."""
    return CLAIM_PREFIX + _name(content_key)


def alias_key(alias: str) -> str:
    """The name of an alias in Redis."""
    return ALIAS_PREFIX + _short(alias, 24)


def names_like(sha256: str | None, scope: str | None) -> str:
    """What the names of a content's keys are like behind their prefixes, or of those whom a scope shares them with."""
    return f"{content_part(sha256) if sha256 else '*'}:{_short(scope, 6) if scope else '*'}:*"


def content_part(sha256: str) -> str:
    """What stands for a content in the names of its keys."""
    return _short(sha256, 24)


def part_in(name: bytes) -> str:
    """The same, of a name that has it."""
    return name.split(b":")[2].decode()


def _name(content_key: str) -> str:
    """Its content, then whose it is, then its fingerprint: all of a content or of a tenant can be found to be erased.

    192 and twice 48 bits: two keys of one name would need two recordings whose hashes begin alike.
    """
    scope, content, fingerprint = ["", "", *content_key.rsplit(":", 2)][-3:]
    return f"{content_part(content)}:{_short(scope, 6)}:{_short(fingerprint, 6)}"


def _short(text: str, size: int) -> str:
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:size]).decode()


class RedisTier:
    """Analyses by content key. Methods block for ``redis.timeout_s`` at most and may be called from any thread.

    Each error of Redis counts in ``tier_errors`` and raises TierError; after three in a row calls are refused at once
    for five seconds, then one of them tries.
    """

    def __init__(
        self,
        settings: RedisSettings,
        encode: Callable[[Analysis], bytes],
        decode: Callable[[bytes], Analysis],
        clock: Clock,
        metrics: Metrics,
        policy: BreakerPolicy = POLICY,
    ) -> None:
        """Connect to nothing yet. ``decode`` raises ValueError for bytes that it does not know.

        Raises UsageError for a url that Redis cannot have; it is not repeated, it may hold a password.
        """
        self._encode = encode
        self._decode = decode
        self._ttl_s = settings.ttl_s
        self._clock = clock
        self._metrics = metrics
        self._breaker = Breaker(policy)
        url = settings.url.get_secret_value() if settings.url else ""
        self._address = without_credentials(url)
        self._deadline = Deadline(settings.timeout_s)
        self._redis = connect(url, self._deadline)
        self._claim = self._redis.register_script(_CLAIM)
        self._let_go = self._redis.register_script(_RELEASE)

    def get_many(self, keys: Sequence[str]) -> Mapping[str, Analysis]:
        """What is known of these content keys, by one MGET. Raises TierError.

        A value that does not verify counts as unknown; it is logged and counted.
        """
        if not keys:
            return {}
        found = {}
        corrupt = 0
        for key, value in zip(keys, self._values([redis_key(key) for key in keys]), strict=True):
            if value is None:
                continue
            try:
                found[key] = self._decode(value)
            except ValueError:
                corrupt += 1
        self._count_corrupt(corrupt)
        return found

    def put_many(self, analyses: Mapping[str, Analysis]) -> None:
        """Remember these for ``redis.ttl_s``, in one pipeline. Raises TierError.

        One that is too large is counted and not sent. When Redis refuses some, others may have been stored: each is a
        pure value of its key.
        """
        values = {key: self._encode(analysis) for key, analysis in analyses.items()}
        pipeline = self._redis.pipeline(transaction=False)
        for key, value in values.items():
            if len(value) <= MOST_VALUE_BYTES:
                pipeline.set(redis_key(key), value, ex=self._ttl_s)
            else:
                self._metrics.tier_errors[TierFault.TOO_LARGE].inc()
        if len(pipeline):
            with self._guarded():
                pipeline.execute()

    def claim_many(self, keys: Sequence[str], owner: str, seconds: float) -> Collection[str]:
        """Claim those of these content keys that nobody else has claimed, by one script. Raises TierError."""
        if not keys:
            return ()
        with self._guarded():
            answer: object = self._claim(keys=[claim_key(key) for key in keys], args=[owner, round(1000 * seconds)])
            if not isinstance(answer, list) or len(answer) != len(keys) or not all(one in (0, 1) for one in answer):
                raise InvalidResponse  # what is not ours would be waited for
        return {key for key, ours in zip(keys, answer, strict=True) if ours == 1}

    def release_many(self, keys: Sequence[str], owner: str) -> None:
        """Give up the claims that this owner has on these content keys, by one script. Raises TierError."""
        if keys:
            with self._guarded():
                self._let_go(keys=[claim_key(key) for key in keys], args=[owner])

    def get_aliases(self, names: Sequence[str]) -> Mapping[str, str]:
        """The SHA-256 that these aliases stand for, by one MGET. Raises TierError.

        A value that does not verify counts as unknown; it is logged and counted.
        """
        if not names:
            return {}
        found = {}
        corrupt = 0
        for name, value in zip(names, self._values([alias_key(name) for name in names]), strict=True):
            if value is None:
                continue
            try:
                found[name] = hash_from_bytes(name, value)
            except ValueError:
                corrupt += 1
        self._count_corrupt(corrupt)
        return found

    def put_aliases(self, aliases: Mapping[str, str]) -> None:
        """Remember for ``redis.ttl_s`` which SHA-256 each alias stands for, in one pipeline. Raises TierError."""
        pipeline = self._redis.pipeline(transaction=False)
        for name, sha256 in aliases.items():
            pipeline.set(alias_key(name), hash_to_bytes(name, sha256), ex=self._ttl_s)
        if len(pipeline):
            with self._guarded():
                pipeline.execute()

    def get_finished(self, key: str) -> Sequence[FinishedSegment]:
        """Segments that were kept under a content key, in any order. Raises TierError.

        A group that does not verify counts as unknown; it is logged and counted.
        """
        with self._guarded():
            groups: object = self._redis.hvals(finished_key(key))
            if not isinstance(groups, list):
                raise InvalidResponse
        found: list[FinishedSegment] = []
        corrupt = 0
        for group in groups:
            try:
                found += finished_from_bytes(group)
            except (ValueError, TypeError):
                corrupt += 1
        self._count_corrupt(corrupt)
        return found

    def keep_finished(self, key: str, segments: Sequence[FinishedSegment]) -> None:
        """Keep a group of segments beside those that are there; all are forgotten ``redis.ttl_s`` after the last one.

        Raises TierError. The group's field is its span: the same group kept twice is there once.
        """
        if not segments:
            return
        name, value = finished_key(key), finished_to_bytes(segments)
        first, last = min(one.stretch.start_ms for one in segments), max(one.stretch.end_ms for one in segments)
        pipeline = self._redis.pipeline(transaction=False)
        pipeline.hset(name, f"{first}-{last}", value)
        pipeline.expire(name, self._ttl_s)
        with self._guarded():
            pipeline.execute()

    def _count_corrupt(self, count: int) -> None:
        if count:
            _log.warning("values in redis do not verify", count=count)
            self._metrics.tier_errors[TierFault.CORRUPT].inc(count)

    def _values(self, keys: Sequence[str]) -> list[bytes | None]:
        with self._guarded():
            values: object = self._redis.mget(keys)
            # A proxy that lies about its protocol must not end a worker either.
            if not isinstance(values, list) or len(values) != len(keys):
                raise InvalidResponse
        return [value if isinstance(value, bytes) else None for value in values]

    def look_again(self) -> None:
        """Find out whether Redis is back, where it was away and nobody asked of late. Blocks for one round trip."""
        now = self._clock.monotonic()
        if not self._breaker.open or not self._breaker.allows(now):
            return
        try:
            with self._deadline.call():
                written = self._redis.set(AGAIN_KEY, b"", px=_AGAIN_MS)
        except RedisError:
            written = None  # that it is away has been said
        if written is True:
            self._answered()
        else:
            self._breaker.failed(self._clock.monotonic())

    def close(self) -> None:
        """Drop the connections."""
        self._redis.close()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """One call to Redis, through the breaker and in its time, with its errors as TierError."""
        if not self._breaker.allows(self._clock.monotonic()):
            self._metrics.tier_errors[TierFault.UNAVAILABLE].inc()
            raise TierError("redis failed several times in a row and is left alone for a while")
        try:
            with self._deadline.call():
                yield
        except RedisError as error:
            self._metrics.tier_errors[TierFault.UNAVAILABLE].inc()
            detail = describe(error)
            if self._breaker.failed(self._clock.monotonic()):
                self._metrics.dependency_down[Dependency.REDIS].set(1)
                _log.warning(
                    "redis is left alone for a while, work goes on without it",
                    dependency="redis",
                    url=self._address,
                    detail=f"redis.url: {detail}",
                )
            raise TierError(f"redis: {detail}") from None
        self._answered()

    def _answered(self) -> None:
        if self._breaker.succeeded():
            self._metrics.dependency_down[Dependency.REDIS].set(0)
            _log.info("redis answers again")


def describe(error: RedisError) -> str:
    """The class of an error and Redis's own code for it; never its text, which may repeat what was sent."""
    code = str(error).partition(" ")[0]
    shown = isinstance(error, ResponseError) and code.isalpha() and code.isupper()
    return f"{type(error).__name__}{f' {code}' if shown else ''}"
