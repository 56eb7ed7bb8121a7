"""With the rights that docs/configuration.md names, and with fewer, `doctor` and `forget` on the real Redis."""

import hashlib
import uuid
from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from redis import Redis

from streamproc.dedupe.erase import erase, rehearse
from streamproc.dedupe.redis import RedisTier
from streamproc.errors import TierRefusesError
from streamproc.operate.doctor import cache
from streamproc.operate.doctor.examine import examine
from streamproc.operate.doctor.finding import Verdict
from streamproc.records.analysis import Analysis, AudioInfo, Status
from streamproc.records.analysis_codec import analysis_from_bytes, analysis_to_bytes
from streamproc.records.identity import content_key
from streamproc.settings import RedisSettings, Settings
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.metrics import Metrics
from tests.redis_users import refused, user

SILENCE = Analysis(Status.NO_SPEECH, (), (), 0, AudioInfo(900, 16_000, 1, "flac"), ())


@pytest.fixture
def redis(patient: Settings) -> Iterator[Redis]:
    assert patient.redis.url is not None
    with Redis.from_url(patient.redis.url.get_secret_value()) as redis:
        yield redis


def kept(settings: RedisSettings) -> str:
    """A content of which an analysis and an alias are kept."""
    sha256 = hashlib.sha256(uuid.uuid4().bytes).hexdigest()
    tier = RedisTier(settings, analysis_to_bytes, analysis_from_bytes, SystemClock(), Metrics())
    tier.put_many({content_key("", sha256, "a" * 32): SILENCE})
    tier.put_aliases({f"{sha256}\nname\netag": sha256})
    tier.close()
    return sha256


@pytest.mark.parametrize("database", [0, 1])
def test_the_operator_s_commands_are_enough_to_look_and_to_erase(
    patient: Settings, redis: Redis, database: int
) -> None:
    assert patient.redis.url is not None
    url = SecretStr(f"{patient.redis.url.get_secret_value().removesuffix('/0')}/{database}")
    settings = patient.redis.model_copy(update={"url": url})
    sha256 = kept(settings)
    with user(settings, "operator", beside=["select"] if database else []) as operators:
        (found,) = examine([cache.check(patient.model_copy(update={"redis": operators}), SystemClock())])
        assert found.verdict is Verdict.WELL, found
        rehearse(operators)
        assert erase(operators, [sha256], None, dry_run=True) == 2
        assert erase(operators, [sha256], None) == 2
        assert erase(operators, [sha256], None) == 0
        assert refused(redis) == []


def test_a_worker_s_user_is_told_to_have_what_doctor_needs(patient: Settings) -> None:
    with user(patient.redis, "worker") as workers:
        (found,) = examine([cache.check(patient.model_copy(update={"redis": workers}), SystemClock())])
    assert found.verdict is Verdict.WRONG
    assert "NoPermissionError" in found.says
    assert "names for doctor" in found.advice


@pytest.mark.parametrize("missing", ["scan", "mget", "unlink"])
def test_before_anything_is_erased_it_is_known_which_commands_are_needed(patient: Settings, missing: str) -> None:
    sha256 = kept(patient.redis)
    with (
        user(patient.redis, "operator", without=[missing]) as operators,
        pytest.raises(TierRefusesError, match=r"NoPermissionError: .* needs SCAN, MGET and UNLINK on the keys"),
    ):
        rehearse(operators)
    assert erase(patient.redis, [sha256], None) == 2
