"""What every shared tier does, the one in memory and the real Redis."""

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr
from redis import Redis

from streamproc.dedupe.redis import RedisTier, finished_key, redis_key
from streamproc.errors import TierError
from streamproc.records.analysis import Analysis, AudioInfo, SegmentAnalysis, Status
from streamproc.records.analysis_codec import analysis_from_bytes, analysis_to_bytes
from streamproc.records.finished import FinishedSegment, Stretch
from streamproc.settings import RedisSettings, Settings
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.metrics import Metrics
from streamproc.testing.tier import MemorySharedTier

Tier = MemorySharedTier | RedisTier


def redis_tier(settings: Settings) -> RedisTier:
    return RedisTier(settings.redis, analysis_to_bytes, analysis_from_bytes, SystemClock(), Metrics())


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.servers)])
def tier(request: pytest.FixtureRequest) -> Iterator[Tier]:
    if request.param == "memory":
        yield MemorySharedTier()
        return
    tier = redis_tier(request.getfixturevalue("patient"))
    yield tier
    tier.close()


@pytest.fixture(params=["memory", "redis"])
def away(request: pytest.FixtureRequest) -> Iterator[Tier]:
    """One that nobody answers for."""
    if request.param == "memory":
        fake = MemorySharedTier()
        fake.down = True
        yield fake
        return
    tier = redis_tier(Settings(redis=RedisSettings(url=SecretStr("redis://127.0.0.1:1/0"))))
    yield tier
    tier.close()


@pytest.fixture
def run() -> str:
    """Part of each key, so that a run does not see what an earlier one left."""
    return str(uuid.uuid4())


def analysis(seed: int, segments: int = 2) -> Analysis:
    scores = (0.1 + 0.2 + seed / 3, 1e-17)
    return Analysis(
        status=Status.OK,
        labels=("angry", "sad"),
        scores=scores,
        speech_ms=1234,
        info=AudioInfo(1500, 8000, 2, "pcm_mulaw"),
        segments=tuple(
            SegmentAnalysis(i, -1, i * 700, (i + 1) * 700, 600, -23.5, "angry", scores[0], scores)
            for i in range(segments)
        ),
        embeddings=(bytes([seed]) * 4096, b"\0\0\xc0\x7f" * 1024) if seed % 2 else (),
    )


def finished(*numbers: int) -> list[FinishedSegment]:
    return [
        FinishedSegment(Stretch(-1, 700 * i, 700 * (i + 1)), (0.1 + 0.2 + i / 3, 1e-17), bytes([i]) * 16)
        for i in numbers
    ]


def test_what_was_put_is_got_back_bit_for_bit(tier: Tier, run: str) -> None:
    silence = Analysis(Status.NO_SPEECH, (), (), 0, AudioInfo(900, 16_000, 1, "flac"), ())
    put = {f"{run}:1": analysis(1), f"{run}:2": silence, f"{run}:3": analysis(3, segments=2000)}
    tier.put_many(put)
    assert tier.get_many(list(put)) == put


def test_what_is_not_known_is_left_out(tier: Tier, run: str) -> None:
    tier.put_many({f"{run}:1": analysis(1)})
    assert tier.get_many([f"{run}:0", f"{run}:1", f"{run}:2"]) == {f"{run}:1": analysis(1)}


def test_the_last_put_counts(tier: Tier, run: str) -> None:
    tier.put_many({run: analysis(1)})
    tier.put_many({run: analysis(2)})
    assert tier.get_many([run]) == {run: analysis(2)}


def test_a_key_asked_for_twice_is_answered(tier: Tier, run: str) -> None:
    tier.put_many({run: analysis(1)})
    assert tier.get_many([run, run]) == {run: analysis(1)}


def test_nothing_can_be_asked_and_put(tier: Tier) -> None:
    tier.put_many({})
    assert tier.get_many([]) == {}


def test_a_put_leaves_other_keys_as_they_are(tier: Tier, run: str) -> None:
    tier.put_many({f"{run}:1": analysis(1), f"{run}:2": analysis(2)})
    tier.put_many({f"{run}:2": analysis(3), f"{run}:3": analysis(4)})
    keys = [f"{run}:{i}" for i in (3, 1, 2)]
    assert tier.get_many(keys) == {keys[0]: analysis(4), keys[1]: analysis(1), keys[2]: analysis(3)}


def test_a_tier_that_is_away_says_so(away: Tier, run: str) -> None:
    with pytest.raises(TierError):
        away.get_many([run])
    with pytest.raises(TierError):
        away.put_many({run: analysis(1)})


def test_nothing_can_be_asked_of_a_tier_that_is_away(away: Tier) -> None:
    away.put_many({})
    assert away.get_many([]) == {}


def test_finished_segments_gather_group_by_group(tier: Tier, run: str) -> None:
    assert not tier.get_finished(run)
    tier.keep_finished(run, finished(0, 1))
    tier.keep_finished(run, finished(2))
    tier.keep_finished(f"{run}:other", finished(7))
    assert sorted(tier.get_finished(run)) == finished(0, 1, 2)


def test_segments_kept_by_two_owners_are_there(tier: Tier, run: str) -> None:
    tier.keep_finished(run, finished(0, 1))
    tier.keep_finished(run, finished(0, 1))
    tier.keep_finished(run, finished(1, 2))
    assert sorted(set(tier.get_finished(run))) == finished(0, 1, 2)


def test_finished_segments_are_no_analysis_and_an_analysis_is_none(tier: Tier, run: str) -> None:
    tier.keep_finished(run, finished(0))
    assert tier.get_many([run]) == {}
    tier.put_many({run: analysis(1)})
    assert list(tier.get_finished(run)) == finished(0)


def test_no_segments_can_be_kept(tier: Tier, run: str) -> None:
    tier.keep_finished(run, [])
    assert not tier.get_finished(run)


def test_a_tier_that_is_away_keeps_no_segments_and_says_so(away: Tier, run: str) -> None:
    with pytest.raises(TierError):
        away.get_finished(run)
    with pytest.raises(TierError):
        away.keep_finished(run, finished(0))
    away.keep_finished(run, [])


def test_many_threads_see_what_each_put(tier: Tier, run: str) -> None:
    def put_and_get(i: int) -> bool:
        key = f"{run}:{i}"
        tier.put_many({key: analysis(i)})
        return tier.get_many([key]) == {key: analysis(i)}

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(put_and_get, range(64)))


@pytest.fixture
def raw(patient: Settings) -> Iterator[Redis]:
    assert patient.redis.url is not None
    client = Redis.from_url(patient.redis.url.get_secret_value())
    yield client
    client.close()


@pytest.mark.servers
def test_redis_forgets_after_the_time_that_is_set(patient: Settings, raw: Redis, run: str) -> None:
    tier = redis_tier(patient)
    tier.put_many({run: analysis(1)})
    assert patient.redis.ttl_s - 300 <= raw.ttl(redis_key(run)) <= patient.redis.ttl_s
    tier.close()


@pytest.mark.servers
def test_redis_forgets_finished_segments_a_time_after_the_last_of_them(patient: Settings, raw: Redis, run: str) -> None:
    tier = redis_tier(patient)
    tier.keep_finished(run, finished(0))
    raw.expire(finished_key(run), 5)
    tier.keep_finished(run, finished(1))
    assert patient.redis.ttl_s - 300 <= raw.ttl(finished_key(run)) <= patient.redis.ttl_s
    tier.close()


@pytest.mark.servers
def test_a_group_that_somebody_else_planted_is_unknown_and_the_others_are_not(
    patient: Settings, raw: Redis, run: str
) -> None:
    tier = redis_tier(patient)
    tier.keep_finished(run, finished(0))
    raw.hset(finished_key(run), "0-1", b"\x01" + bytes(64))
    raw.hset(finished_key(run), "", b"")
    assert list(tier.get_finished(run)) == finished(0)
    tier.close()


@pytest.mark.servers
def test_another_type_under_the_key_of_finished_segments_is_a_tier_error(
    patient: Settings, raw: Redis, run: str
) -> None:
    tier = redis_tier(patient)
    raw.set(finished_key(run), "no hash", ex=600)
    with pytest.raises(TierError):
        tier.get_finished(run)
    with pytest.raises(TierError):
        tier.keep_finished(run, finished(0))
    tier.close()


@pytest.mark.servers
@pytest.mark.parametrize("planted", [b"", b"\x80\x04cos\nsystem\n", b"\x01" + bytes(64), b"\xff" * 100_000])
def test_what_somebody_else_planted_in_redis_is_unknown(
    patient: Settings, raw: Redis, run: str, planted: bytes
) -> None:
    tier = redis_tier(patient)
    tier.put_many({f"{run}:good": analysis(1)})
    raw.set(redis_key(f"{run}:bad"), planted, ex=600)
    assert tier.get_many([f"{run}:good", f"{run}:bad"]) == {f"{run}:good": analysis(1)}
    tier.close()


@pytest.mark.servers
def test_another_type_under_our_key_is_unknown_and_written_over(patient: Settings, raw: Redis, run: str) -> None:
    tier = redis_tier(patient)
    raw.rpush(redis_key(run), "not a string")
    raw.expire(redis_key(run), 600)
    assert tier.get_many([run]) == {}
    tier.put_many({run: analysis(1)})
    assert tier.get_many([run]) == {run: analysis(1)}
    tier.close()


@pytest.mark.servers
def test_a_value_cut_by_one_byte_is_unknown(patient: Settings, raw: Redis, run: str) -> None:
    tier = redis_tier(patient)
    raw.set(redis_key(run), analysis_to_bytes(analysis(1))[:-1], ex=600)
    assert tier.get_many([run]) == {}
    tier.close()


@pytest.mark.servers
def test_a_connection_that_redis_dropped_is_replaced(patient: Settings, raw: Redis, run: str) -> None:
    tier = redis_tier(patient)
    tier.put_many({run: analysis(1)})
    ours = tier._redis.client_id()
    raw.client_kill_filter(_id=str(ours))
    assert tier.get_many([run]) == {run: analysis(1)}
    tier.close()


def test_the_fake_fails_on_demand() -> None:
    tier = MemorySharedTier()
    tier.put_many({"a": analysis(1), "b": analysis(2)})
    tier.corrupt.add("a")
    assert tier.get_many(["a", "b"]) == {"b": analysis(2)}
    tier.put_many({"a": analysis(3)})
    assert tier.get_many(["a"]) == {"a": analysis(3)}
    assert tier.calls == 4
    tier.down = True
    with pytest.raises(TierError):
        tier.get_many(["a"])
    tier.down = False
    assert tier.get_many(["b"]) == {"b": analysis(2)}
    assert tier.calls == 6


def test_an_alias_stands_for_the_hash_that_was_put(tier: Tier, run: str) -> None:
    put = {f"{run}\nv1": "0f" * 32, f"{run}\ne2": "f0" * 32}
    tier.put_aliases(put)
    assert tier.get_aliases([*put, f"{run}\nv3"]) == put
    tier.put_aliases({f"{run}\nv1": "aa" * 32})
    assert tier.get_aliases([f"{run}\nv1"]) == {f"{run}\nv1": "aa" * 32}


def test_no_aliases_can_be_asked_and_put(tier: Tier) -> None:
    tier.put_aliases({})
    assert tier.get_aliases([]) == {}


def test_aliases_of_a_tier_that_is_away_are_no_answer(away: Tier, run: str) -> None:
    with pytest.raises(TierError):
        away.get_aliases([run])
    with pytest.raises(TierError):
        away.put_aliases({run: "00" * 32})
    away.put_aliases({})
    assert away.get_aliases([]) == {}


def test_what_one_has_claimed_is_no_other_s(tier: Tier, run: str) -> None:
    keys = [f"{run}:{number}" for number in range(3)]
    assert set(tier.claim_many(keys[:2], f"{run} one", 60)) == set(keys[:2])
    assert set(tier.claim_many(keys, f"{run} two", 60)) == {keys[2]}
    assert set(tier.claim_many(keys, f"{run} one", 60)) == set(keys[:2])


def test_a_claim_is_given_up_by_its_owner_alone(tier: Tier, run: str) -> None:
    assert tier.claim_many([run], "one", 60)
    tier.release_many([run], "two")
    assert not tier.claim_many([run], "two", 60)
    tier.release_many([run], "one")
    assert tier.claim_many([run], "two", 60)


def test_a_claim_is_no_value(tier: Tier, run: str) -> None:
    tier.claim_many([run], "one", 60)
    assert tier.get_many([run]) == {}


def test_nothing_can_be_claimed_and_given_up(tier: Tier) -> None:
    assert not tier.claim_many([], "one", 60)
    tier.release_many([], "one")


def test_nothing_is_claimed_of_a_tier_that_is_away(away: Tier, run: str) -> None:
    with pytest.raises(TierError):
        away.claim_many([run], "one", 60)
    with pytest.raises(TierError):
        away.release_many([run], "one")
