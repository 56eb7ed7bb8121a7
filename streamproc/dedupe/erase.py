"""Erasing from Redis what is kept of contents, or of whom they are shared by, under whatever names."""

import uuid
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

from redis import Redis
from redis.exceptions import AuthenticationError, InvalidResponse, NoPermissionError, RedisError, ResponseError

from streamproc.dedupe.deadline import Deadline, connect
from streamproc.dedupe.redis import (
    ALIAS_PREFIX,
    CLAIM_PREFIX,
    FINISHED_PREFIX,
    PREFIX,
    content_part,
    describe,
    names_like,
    part_in,
)
from streamproc.errors import TierError, TierRefusesError
from streamproc.records.alias import claimed_hash
from streamproc.settings import RedisSettings

_SCANNED = 1_000
"""Names that one step of a search looks at, and that are erased at a time."""
NEEDED = "the user of redis.url needs SCAN, MGET and UNLINK on the keys sp:* (docs/configuration.md)"


def rehearse(settings: RedisSettings) -> None:
    """Ask for all that ``erase`` asks for, of names that nobody has. Raises what it raises."""
    nobody = uuid.uuid4().hex
    names = [prefix + nobody for prefix in (ALIAS_PREFIX, PREFIX, FINISHED_PREFIX, CLAIM_PREFIX)]
    with _connected(settings) as redis:
        redis.scan(0, names[0], 1)
        redis.mget(names)
        redis.unlink(*names)


def erase(
    settings: RedisSettings,
    contents: Collection[str],
    scope: str | None,
    also: Collection[str] = (),
    *,
    dry_run: bool = False,
) -> int:
    """Forget all of these contents (SHA-256), of whom they are shared by, or of both; how many keys that were.

    With them go the aliases that stand for one of them, or for one of ``also``: an alias belongs to nobody, so they
    are everybody's, who has the object fetched once more. Without contents all of the scope is meant. Looks at every
    name in Redis. With ``dry_run`` it only counts. Raises TierError, TierRefusesError for what somebody has
    to mend, UsageError for a url that Redis cannot have.
    """
    wanted = frozenset(map(content_part, contents))
    like = names_like(next(iter(contents)) if len(contents) == 1 else None, scope)  # Redis filters by one at a time
    patterns = [prefix + like for prefix in (PREFIX, FINISHED_PREFIX, CLAIM_PREFIX)]

    def kept(redis: Redis) -> Iterator[Sequence[bytes]]:
        for names in _found(redis, patterns):
            yield [name for name in names if not wanted or part_in(name) in wanted]

    with _connected(settings) as redis:
        standing = {*wanted, *map(content_part, also)}
        if not wanted:
            standing.update(part_in(name) for names in kept(redis) for name in names)
        # Aliases first: those of a scope are found by what is kept beside them, by a second attempt, too.
        erased = sum(_drop(redis, names, dry_run=dry_run) for names in _aliases(redis, standing))
        return erased + sum(_drop(redis, names, dry_run=dry_run) for names in kept(redis))


@contextmanager
def _connected(settings: RedisSettings) -> Iterator[Redis]:
    """A client, whose errors are a tier's."""
    # No call of it has an end of its own: each of its reads has.
    with connect(settings.url.get_secret_value() if settings.url else "", Deadline(settings.timeout_s)) as redis:
        try:
            yield redis
        except NoPermissionError as error:
            raise TierRefusesError(f"{describe(error)}: {NEEDED}") from None
        except (ResponseError, AuthenticationError) as error:
            raise TierRefusesError(describe(error)) from None
        except RedisError as error:
            raise TierError(f"redis: {describe(error)}") from None


def _found(redis: Redis, patterns: Sequence[str]) -> Iterator[Sequence[bytes]]:
    """Names, some at a time."""
    for pattern in patterns:
        names = redis.scan_iter(pattern, _SCANNED)
        while some := list(islice(names, _SCANNED)):
            yield list(dict.fromkeys(some))  # a scan may say a name twice


def _aliases(redis: Redis, standing: Collection[str]) -> Iterator[Sequence[bytes]]:
    """The names of aliases that stand for one of these contents. Their values are hashes as well: they have to be read.

    One that does not verify under any name stands for nothing.
    """
    for names in _found(redis, [f"{ALIAS_PREFIX}*"]):
        values: object = redis.mget(names)
        if not isinstance(values, list) or len(values) != len(names):
            raise InvalidResponse
        claimed = [claimed_hash(value) if isinstance(value, bytes) else None for value in values]
        yield [name for name, one in zip(names, claimed, strict=True) if one and content_part(one) in standing]


def _drop(redis: Redis, names: Sequence[bytes], *, dry_run: bool) -> int:
    if dry_run or not names:
        return len(names)
    answer: object = redis.unlink(*names)
    if not isinstance(answer, int):
        raise InvalidResponse  # what may still be there must not be told as erased
    return answer
