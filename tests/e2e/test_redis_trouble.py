"""A Redis that is slow, full, read-only, emptied or spoilt: results flow, and each is that of its bytes."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis

from streamproc.settings import Settings
from tests.e2e.corpus import Corpus
from tests.e2e.oracle import Oracle
from tests.e2e.slow_way import SlowWay
from tests.e2e.workers import PATIENCE_S, Worker, until

pytestmark = pytest.mark.timeout(4 * PATIENCE_S)

CLIPS = 4
SCORES = ("label", "scores_json", "segment_count", "speech_ms")
COMMANDS = ("mget", "set", "evalsha", "eval", "script|load", "get", "del", "hset", "hvals", "expire", "ping")
"""What docs/configuration.md tells people to grant."""
Trouble = Callable[[Redis, SlowWay], AbstractContextManager[None]]


@pytest.fixture
def redis(own: Settings) -> Iterator[Redis]:
    assert own.redis.url is not None
    with Redis.from_url(own.redis.url.get_secret_value()) as redis:
        redis.flushall()
        yield redis


@pytest.fixture
def way(redis: Redis) -> Iterator[SlowWay]:
    address = redis.connection_pool.connection_kwargs
    with SlowWay(address["host"], address["port"]) as way:
        yield way


@pytest.fixture
def worker(worker: Worker, way: SlowWay) -> Worker:
    """One that remembers nothing by itself, so that each recording is a question to Redis."""
    worker.set("STREAMPROC_DEDUPE__MEMORY_BYTES", "1")
    worker.set("STREAMPROC_REDIS__URL", f"redis://127.0.0.1:{way.port}/0")
    return worker


class Rounds:
    """The same recordings, announced again and again."""

    def __init__(self, own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker) -> None:
        self._own, self._oracle, self._worker = own, oracle, worker
        self._events = [one.value for one in corpus.good(CLIPS, seed=31)[:CLIPS]]
        self.sent: list[tuple[int, int]] = []

    def play(self) -> list[Mapping[str, object]]:
        """Announce all once more, and wait; the rows of this round."""
        places = [self._oracle.produce(event, b"call-%d" % n) for n, event in enumerate(self._events)]
        self.sent += places
        until(self._through, PATIENCE_S, self._worker.tail, self._lives)
        seen = self._oracle.seen()
        assert not seen.dead
        rows = {(int(str(row["input_partition"])), int(str(row["input_offset"]))): row for row in seen.results}
        assert len(seen.results) == len(rows) == len(self.sent)
        return [rows[place] for place in places]

    def _through(self) -> bool:
        return self._oracle.position(self._own.kafka.group) == len(self.sent)

    def _lives(self) -> None:
        assert self._worker.process.poll() is None, self._worker.tail()


def said(rows: list[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """What rows say of their recordings, bit for bit, whoever computed it."""
    return [{name: row[name] for name in SCORES} for row in rows]


def tiers(rows: list[Mapping[str, object]]) -> set[object]:
    return {row["tier"] for row in rows}


@pytest.fixture
def rounds(own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker) -> Rounds:
    worker.start()
    return Rounds(own, oracle, corpus, worker)


@contextmanager
def slower(seconds: float, way: SlowWay) -> Iterator[None]:
    way.delay_s = seconds
    yield
    way.delay_s = 0.0


@contextmanager
def full(redis: Redis) -> Iterator[None]:
    before = {name: str(redis.config_get(name)[name]) for name in ("maxmemory", "maxmemory-policy")}
    redis.config_set("maxmemory-policy", "noeviction")
    redis.config_set("maxmemory", 1)
    yield
    for name, value in before.items():
        redis.config_set(name, value)


@contextmanager
def read_only(redis: Redis) -> Iterator[None]:
    redis.replicaof("127.0.0.1", 1)
    yield
    redis.replicaof("NO", "ONE")


@contextmanager
def unable_to_save(redis: Redis) -> Iterator[None]:
    """Its file is a folder: the save fails, and every write is refused with MISCONF."""
    file = Path(str(redis.config_get("dir")["dir"])) / str(redis.config_get("dbfilename")["dbfilename"])
    file.unlink(missing_ok=True)
    (file / "in the way").mkdir(parents=True)
    try:
        save(redis, "err")
        yield
    finally:
        (file / "in the way").rmdir()
        file.rmdir()
        save(redis, "ok")


def save(redis: Redis, end: str) -> None:
    until(lambda: not redis.info("persistence")["rdb_bgsave_in_progress"], PATIENCE_S, lambda: "it saves for ever")
    redis.bgsave()
    until(lambda: redis.info("persistence")["rdb_last_bgsave_status"] == end, PATIENCE_S, lambda: "no such end")


@contextmanager
def of_another_type(redis: Redis) -> Iterator[None]:
    for key in redis.keys("sp:*"):
        redis.delete(key)
        redis.rpush(key, "no value of ours")
    yield
    redis.flushall()


@contextmanager
def spoilt(redis: Redis) -> Iterator[None]:
    for key in redis.keys("sp:*"):
        if redis.type(key) == b"string":
            value = redis.get(key)
            assert isinstance(value, bytes)
            redis.set(key, value[:-1] + bytes([value[-1] ^ 1]), ex=600)
    yield


@contextmanager
def emptied(redis: Redis) -> Iterator[None]:
    redis.flushall()
    redis.script_flush()
    yield


TROUBLES: Mapping[str, tuple[Trouble, str]] = {
    "5 ms slower": (lambda _, way: slower(0.005, way), "redis"),
    "1 s slower": (lambda _, way: slower(1.0, way), "computed"),
    "full": (lambda redis, _: full(redis), ""),
    "READONLY": (lambda redis, _: read_only(redis), ""),
    "MISCONF": (lambda redis, _: unable_to_save(redis), ""),
    "FLUSHALL": (lambda redis, _: emptied(redis), "computed"),
    "another type": (lambda redis, _: of_another_type(redis), "computed"),
    "corrupt": (lambda redis, _: spoilt(redis), "computed"),
    "none": (lambda *_: nullcontext(), "redis"),
}
"""With where the analyses are from meanwhile; empty: it depends on what Redis still answers."""


def test_whatever_redis_does_results_flow_and_are_right(rounds: Rounds, redis: Redis, way: SlowWay) -> None:
    first = rounds.play()
    assert tiers(first) == {"computed"}
    for name, (trouble, expected) in TROUBLES.items():
        with ExitStack() as stack:
            stack.enter_context(trouble(redis, way))
            rows = rounds.play()
        assert said(rows) == said(first), name
        assert not expected or tiers(rows) == {expected}, (name, tiers(rows))
        until(lambda: tiers(rounds.play()) == {"redis"}, PATIENCE_S, lambda: "it is not asked again")


def test_a_user_with_only_the_commands_that_are_named_is_enough(
    rounds: Rounds, redis: Redis, worker: Worker, own: Settings
) -> None:
    worker.stop()
    redis.acl_setuser(
        "lean", enabled=True, passwords="+secret", keys=["sp:*"], commands=[f"+{one}" for one in COMMANDS], reset=True
    )
    address = urlsplit(own.redis.url.get_secret_value() if own.redis.url else "")
    worker.set("STREAMPROC_REDIS__URL", f"redis://lean:secret@{address.netloc}{address.path}")
    worker.set("STREAMPROC_DEDUPE__TRUST", "etag")
    redis.acl_log_reset()
    worker.start()
    assert tiers(rounds.play()) == {"computed"}
    time.sleep(1)  # what is written behind
    assert tiers(rounds.play()) == {"redis"}
    refused = [entry for entry in redis.acl_log() if entry["object"] not in (b"client|setinfo", "client|setinfo")]
    assert not refused
