"""A Redis that is slow, full, read-only, emptied or spoilt: results flow, and each is that of its bytes."""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from streamproc.records.result import SCORE_COLUMNS
from streamproc.settings import Settings
from tests.e2e.corpus import Corpus, wav
from tests.e2e.oracle import Oracle
from tests.e2e.slow_way import SlowWay
from tests.e2e.workers import PATIENCE_S, Worker, until
from tests.redis_users import commands, refused, user
from tests.unit.audio.sounds import encoded, talk

pytestmark = pytest.mark.timeout(4 * PATIENCE_S)

CLIPS = 4
SCORES = ("label", "confidence", "margin", *(f"score_{label}" for label in SCORE_COLUMNS), "segment_count", "speech_ms")
SELDOM = {"eval", "get", "del", "ping"}
"""Of a worker's commands: what the library falls back on, what a claim asks that another one has, what gives up a
claim, and what the library asks a connection that it doubts."""
HASTY = {
    "STREAMPROC_KAFKA__TRANSACTION_TIMEOUT_S": "10",
    "STREAMPROC_FLOW__DRAIN_S": "11",
    "STREAMPROC_AUDIO__MAX_OBJECT_BYTES": str(256 * 1024**2),
    "STREAMPROC_AUDIO__MAX_SECONDS": "3600",
}
"""A drain so short that some minutes are a long recording, of which finished segments are kept."""
MINUTES = 10
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
    """Some recordings, announced again and again, and ones of the same sound that are new."""

    def __init__(self, own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker) -> None:
        self._own, self._oracle, self._corpus, self._worker = own, oracle, corpus, worker
        clips = [body for _, (_, _, body) in zip(range(CLIPS), corpus.clips(), strict=False)]
        self._bodies = [wav(soundfile.read(io.BytesIO(body))[0]) for body in clips]
        self._made = 0
        self.known = self.new()
        self.sent: list[tuple[int, int]] = []

    def new(self) -> list[bytes]:
        """Events of recordings whose bytes nobody has seen: behind the samples there are some that say nothing."""
        self._made += 1
        tail = b"note\x08\0\0\0%08d" % self._made
        bodies = [body + tail for body in self._bodies]
        names = [f"redis-{self._own.kafka.group}-{self._made}-{n}.wav" for n in range(CLIPS)]
        keys = [self._corpus.put(name, body) for name, body in zip(names, bodies, strict=True)]
        return [self._corpus.event(key, outputs=["scores"]) for key in keys]

    def long(self) -> bytes:
        """An event of a recording that takes longer than a micro-batch may."""
        body = encoded(np.tile(talk([(11, 1)] * 5), MINUTES), 16_000, "FLAC")
        return self._corpus.event(self._corpus.put(f"redis-{self._own.kafka.group}-long.flac", body))

    def play(self, events: Sequence[bytes] = ()) -> list[Mapping[str, object]]:
        """Announce these, or those that are known, and wait; the rows of this round."""
        places = [self._oracle.produce(event, b"call-%d" % (n % CLIPS)) for n, event in enumerate(events or self.known)]
        self.sent += places
        until(self._through, PATIENCE_S, self._worker.tail, self._lives)
        seen = self._oracle.seen()
        assert not seen.dead
        rows = {(int(str(row["input_partition"])), int(str(row["input_offset"]))): row for row in seen.results}
        assert len(seen.results) == len(rows) == len(self.sent)
        return [rows[place] for place in places]

    def heal(self, new: Sequence[bytes]) -> None:
        """Wait until Redis serves what is known and what was new."""
        events = [*self.known, *new]
        until(lambda: tiers(self.play(events)) == {"redis"}, PATIENCE_S, lambda: "it is not asked again")

    def faults(self) -> Mapping[str, float]:
        """``streamproc_tier_errors_total`` by fault. All are Redis's: this worker has no archive."""
        return self._series("streamproc_tier_errors_total", "fault")

    def away(self) -> bool:
        """Whether the worker takes Redis for away."""
        return self._series("streamproc_dependency_down", "dependency")["redis"] == 1

    def _series(self, metric: str, label: str) -> Mapping[str, float]:
        families = text_string_to_metric_families(self._worker.ask("/metrics"))
        samples = [sample for family in families for sample in family.samples if sample.name == metric]
        return {sample.labels[label]: sample.value for sample in samples}

    def _through(self) -> bool:
        return self._oracle.position(self._own.kafka.group) == len(self.sent)

    def _lives(self) -> None:
        assert self._worker.process.poll() is None, self._worker.tail()


def said(rows: list[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """What rows say of their recordings, bit for bit, whoever computed it."""
    return [{name: row[name] for name in SCORES} for row in rows]


def sent(redis: Redis) -> set[str]:
    """Commands that Redis was sent, whoever sent them, since its counts began."""
    return {name.removeprefix("cmdstat_") for name in redis.info("commandstats")}


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
def dripping(way: SlowWay) -> Iterator[None]:
    way.drip_s = 0.2
    yield
    way.drip_s = 0.0


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


class Case(NamedTuple):
    """A trouble, where analyses that are known are from meanwhile, and what the metrics have to tell of it.

    Empty: it depends on what Redis still answers, and on how quickly.
    """

    trouble: Trouble
    known_from: str
    fault: str


TROUBLES: Mapping[str, Case] = {
    "5 ms slower": Case(lambda _, way: slower(0.005, way), "redis", ""),
    "1 s slower": Case(lambda _, way: slower(1.0, way), "computed", "unavailable"),
    "a byte now and then": Case(lambda _, way: dripping(way), "computed", "unavailable"),
    "full": Case(lambda redis, _: full(redis), "", "unavailable"),
    "READONLY": Case(lambda redis, _: read_only(redis), "", "unavailable"),
    "MISCONF": Case(lambda redis, _: unable_to_save(redis), "", "unavailable"),
    "FLUSHALL": Case(lambda redis, _: emptied(redis), "computed", ""),
    "another type": Case(lambda redis, _: of_another_type(redis), "computed", ""),
    "corrupt": Case(lambda redis, _: spoilt(redis), "computed", "corrupt"),
    "none": Case(lambda *_: nullcontext(), "redis", ""),
}


def test_whatever_redis_does_results_flow_and_are_right(
    rounds: Rounds, redis: Redis, way: SlowWay, worker: Worker
) -> None:
    first = rounds.play()
    assert tiers(first) == {"computed"}
    assert len({row["confidence"] for row in first}) == CLIPS  # or one in place of another would not be seen
    for name, (trouble, known_from, fault) in TROUBLES.items():
        new, before = rounds.new(), rounds.faults()
        with ExitStack() as stack:
            stack.enter_context(trouble(redis, way))
            rows = rounds.play([*rounds.known, *new])
            known, never_seen = rows[:CLIPS], rows[CLIPS:]
            after = rounds.faults()
        assert said(known) == said(first), name
        assert said(never_seen) == said(first), name
        assert not known_from or tiers(known) == {known_from}, (name, tiers(known))
        assert tiers(never_seen) == {"computed"}, name
        assert not fault or after[fault] > before[fault], (name, before, after)
        rounds.heal(new)
        assert not rounds.away(), name
    assert worker.starts == 1


def test_a_user_with_only_the_commands_that_are_named_is_enough(
    rounds: Rounds, redis: Redis, worker: Worker, own: Settings
) -> None:
    worker.stop()
    with user(own.redis, "worker") as lean:
        assert lean.url is not None
        worker.set("STREAMPROC_REDIS__URL", lean.url.get_secret_value())
        worker.set("STREAMPROC_DEDUPE__TRUST", "etag")
        for name, value in HASTY.items():
            worker.set(name, value)
        redis.script_flush()  # what another worker loaded is not asked for again
        redis.config_resetstat()
        worker.start()
        assert tiers(rounds.play()) == {"computed"}
        assert tiers(rounds.play([rounds.long()])) == {"computed"}
        until(lambda: len(redis.keys("sp:a:*")) == CLIPS + 1, PATIENCE_S, lambda: "what is written behind is not there")
        assert tiers(rounds.play()) == {"redis"}
        missing = set(commands("worker")) - SELDOM
        until(lambda: sent(redis) >= missing, PATIENCE_S, lambda: f"not sent: {missing - sent(redis)}")
        assert not refused(redis)
