"""The doctor on real servers: what is well is called well, and each planted fault is found and named."""

import json
import os
import shutil
import socket
import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import pytest
import redis
from confluent_kafka import Producer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports these without saying so to mypy
    AclOperation,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from streamproc.emotion.directory import find_directory
from streamproc.emotion.manifest import FileRecord, Manifest, sha256, write_manifest
from streamproc.emotion.pins import NEEDED
from streamproc.kafka.admin import create_topics
from streamproc.kafka.config import client_config
from streamproc.kafka.own_schemas import register_schemas
from streamproc.kafka.registry import connect
from streamproc.operate.doctor import group, store
from streamproc.operate.doctor.checks import checks
from streamproc.operate.doctor.examine import examine
from streamproc.operate.doctor.finding import Verdict
from streamproc.records.identity import ModelIdentity, fingerprint
from streamproc.records.record import TopicPartition as Place
from streamproc.records.topics import topic_specs
from streamproc.settings import Settings
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock
from tests.integration.guarded import ANSWER_S, forbid, guarded
from tests.integration.planted import own_topics, plant

MINE = ModelIdentity("mine", "0" * 64, "fp32", ("angry", "happy"))
ON_BROKERS = ("brokers", "takeover", "topics", "rights")
PLANTED = {
    "timeouts": "a stop is killed after 30 s",
    "takeover": "kafka.session_timeout_s=7",
    "topics": "max.message.bytes=1000",
    "rights": "WRITE on topic",
    "registry": "LedgerEntry under",
    "store": "bucket not-made-yet is not there",
    "redis": "noeviction",
    "clock": "the broker's is 60",
    "disk": "(local.state_dir) cannot be written: Not a directory",
    "http": "a worker that hangs, or another program",
    "model": "sha256 is",
    "device": "fp16 runs on cuda only",
    "connect": "http://127.0.0.1:1 (connect.url): ConnectError",
    "warehouse": "127.0.0.1:1 (warehouse.address)",
}


class Early(SystemClock):
    """A clock that is a minute slow."""

    def wall_ms(self) -> int:
        return super().wall_ms() - 60_000


def changed(settings: Settings, section: str, **values: object) -> Settings:
    return settings.model_copy(update={section: getattr(settings, section).model_copy(update=values)})


def alter(settings: Settings, topic: str, **values: str) -> None:
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    entries = [
        ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
        for name, value in values.items()
    ]
    asked = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
    admin.incremental_alter_configs([asked])[asked].result(ANSWER_S)


def topics_of(settings: Settings) -> list[str]:
    admin = AdminClient({"bootstrap.servers": settings.kafka.bootstrap_servers})
    return sorted(name for name in admin.list_topics(timeout=ANSWER_S).topics if not name.startswith("__"))


@pytest.fixture
def own(patient: Settings) -> Settings:
    return own_topics(patient)


@pytest.fixture(scope="module")
def guard(patient: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with guarded(patient, tmp_path_factory.mktemp("broker")) as settings:
        yield settings


def with_topics(settings: Settings) -> Settings:
    name = uuid.uuid4().hex
    topics = {kind: f"{kind}.{name}" for kind in ("recordings", "results", "segments", "ledger")}
    own = changed(settings, "topics", partitions=1, lane_partitions=1, **topics)
    create_topics(own)
    return changed(own, "kafka", group=f"group.{name}")


@pytest.fixture
def stubborn(servers: Settings) -> Iterator[None]:
    """The session's Redis lets nothing go, for as long as a test lasts."""
    assert servers.redis.url is not None
    with redis.Redis.from_url(servers.redis.url.get_secret_value(), socket_timeout=ANSWER_S) as client:
        before = client.config_get("maxmemory-policy")["maxmemory-policy"]
        client.config_set("maxmemory-policy", "noeviction")
        yield
        client.config_set("maxmemory-policy", before)


def damaged_model(folder: Path) -> Path:
    """A pulled model of which one byte is another one."""
    source = find_directory("demo", folder)
    shutil.copytree(source, folder)
    files = {name: FileRecord((folder / name).stat().st_size, sha256(folder / name)) for name in NEEDED}
    write_manifest(folder, Manifest("tiny", "huggingface", "none", "1", "none", "none", files))
    weights = bytearray((folder / "model.pt").read_bytes())
    weights[1000] ^= 1
    (folder / "model.pt").write_bytes(weights)
    return folder


def test_nothing_is_wrong_where_all_is_well_and_nothing_is_left(own: Settings) -> None:
    free = changed(own, "http", port=0)  # where tests run, somebody may have the usual one
    with closing(S3Store(own.storage, 1, SystemClock())) as objects:
        before = topics_of(own)
        found = {one.check: one for one in examine(checks(free, SystemClock(), os.environ, 90))}
        assert {name: one.says for name, one in found.items() if one.verdict is Verdict.WRONG} == {}
        assert topics_of(own) == before
        with pytest.raises(Exception, match="NoSuchKey"):
            objects.get(own.storage.bucket, store.TRIAL, None, 100)
    assert len(found) == 19
    assert own.storage.secret_key.get_secret_value() not in "".join(map(str, found.values()))
    assert "= 45 s" in "".join(found["takeover"].details)
    assert "kafka.transaction_timeout_s 30 + flow.drain_s 60 + 15 s = 105 <= kafka.max_poll_interval_s 300" in (
        found["timeouts"].details
    )


@pytest.mark.usefixtures("stubborn")
def test_each_of_many_faults_at_once_is_found_and_named(guard: Settings, tmp_path: Path) -> None:
    settings = with_topics(guard)
    with connect(settings.registry) as registry:
        register_schemas(registry, settings.topics)
        registry.delete_subject(f"{settings.topics.ledger}-value")
    alter(settings, settings.topics.dead_letters, max_message_bytes="1000")
    alter(settings, settings.topics.ledger, retention_ms="3600000")
    forbid(settings, ResourceType.TOPIC, settings.topics.results, AclOperation.WRITE)
    (tmp_path / "file").touch()
    broken = changed(settings, "kafka", session_timeout_s=7)
    broken = changed(broken, "storage", allowed_buckets=("not-made-yet",))
    broken = changed(broken, "local", state_dir=tmp_path / "file" / "state")
    broken = changed(
        broken, "model", name_or_dir=str(damaged_model(tmp_path / "model")), precision="fp16", device="cpu"
    )
    taken = socket.create_server(("127.0.0.1", 0))
    broken = changed(broken, "http", port=taken.getsockname()[1])
    broken = changed(broken, "connect", url="http://127.0.0.1:1")
    broken = changed(broken, "warehouse", address="127.0.0.1:1")
    asked = checks(broken, Early(), os.environ, 30)
    with taken:
        found = {one.check: one for one in examine(asked)}
    said = {check: found[check].says for check in PLANTED}
    assert {check: text for check, text in PLANTED.items() if text not in said[check]} == {}, said
    assert {found[check].verdict for check in PLANTED} == {Verdict.WRONG}
    assert all(found[check].advice for check in PLANTED)
    assert "keeps records 0.0417 days" in "".join(found["topics"].details)
    well = {check for check, one in found.items() if one.verdict is not Verdict.WRONG}
    assert well == {"versions", "brokers", "sandbox", "group", "traces"}


def test_a_user_with_no_more_rights_than_a_worker_needs_is_not_wrong(guard: Settings) -> None:
    settings = with_topics(guard)
    forbid(settings, ResourceType.BROKER, "kafka-cluster", AclOperation.DESCRIBE_CONFIGS)
    for spec in topic_specs(settings.topics):
        forbid(settings, ResourceType.TOPIC, spec.name, AclOperation.DESCRIBE_CONFIGS)
    forbid(settings, ResourceType.TOPIC, settings.topics.results, AclOperation.READ)
    producer = Producer({"bootstrap.servers": settings.kafka.bootstrap_servers})
    producer.produce(settings.topics.results, b"a result")
    assert producer.flush(ANSWER_S) == 0
    names = (*ON_BROKERS, "group")
    asked = [one for one in checks(settings, SystemClock(), os.environ, 90) if one.name in names]
    found = {one.check: one for one in examine(asked)}
    others = {"topics": Verdict.DOUBTFUL, "group": Verdict.UNKNOWN}
    assert {name: one.verdict for name, one in found.items()} == {**dict.fromkeys(names, Verdict.WELL), **others}
    assert f"Grant READ on {settings.topics.results} to" in found["group"].advice


def test_a_server_that_is_away_is_told_once_and_the_others_are_not_held_up(own: Settings) -> None:
    away = changed(own, "kafka", bootstrap_servers="127.0.0.1:1")
    asked = [one for one in checks(away, SystemClock(), os.environ, 90) if one.name not in {"device", "group"}]
    found = {one.check: one for one in examine(asked)}
    assert found["brokers"].verdict is Verdict.WRONG
    assert "127.0.0.1:1 (kafka.bootstrap_servers)" in found["brokers"].says
    assert {found[name].verdict for name in ("takeover", "topics", "rights", "clock")} == {Verdict.UNKNOWN}
    assert found["clock"].says == "kafka does not answer, as said above"
    assert found["store"].verdict is found["registry"].verdict is found["redis"].verdict is Verdict.WELL


def test_keys_that_may_read_and_not_write_are_found(own: Settings, tmp_path: Path) -> None:
    bucket = f"doctor-{tmp_path.parent.name}-{uuid.uuid4().hex[:8]}"
    with closing(S3Store(own.storage, 1, SystemClock())) as objects:
        objects.ensure_bucket(bucket)
    let_all_read(own, bucket)
    empty = type(own.storage.access_key)("")
    unsigned = changed(own, "storage", bucket=bucket, access_key=empty, secret_key=empty)
    (found,) = examine([store.check(unsigned, SystemClock())])
    assert found.verdict is Verdict.WRONG
    assert f"nothing may be stored in {bucket}" in found.says


def test_a_record_of_another_program_behind_our_results_is_not_taken_for_the_group_s(own: Settings) -> None:
    identity: Future[ModelIdentity] = Future()
    identity.set_result(MINE)
    with plant(own) as world:
        world.announce(1)
        one = world.result(0, 0, fingerprint=fingerprint(MINE, "split"), model="mine")
        world.commit(Place(world.input, 0), [(0, one)])
        producer = Producer(client_config(own))
        for partition in range(own.topics.partitions):
            producer.produce(own.topics.results, b"", partition=partition)
        assert producer.flush(30) == 0
        (found,) = examine([group.check(own, SystemClock(), identity)])
    assert found.verdict is Verdict.WELL
    assert f"; {own.topics.partitions} partitions end with a record of another program" in found.says


def let_all_read(settings: Settings, bucket: str) -> None:
    from minio import Minio

    client = Minio(
        settings.storage.endpoint.partition("://")[2],
        access_key=settings.storage.access_key.get_secret_value(),
        secret_key=settings.storage.secret_key.get_secret_value(),
        secure=False,
    )
    rights = {"s3:ListBucket": f"arn:aws:s3:::{bucket}", "s3:GetObject": f"arn:aws:s3:::{bucket}/*"}
    statements = [
        {"Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": [action], "Resource": [resource]}
        for action, resource in rights.items()
    ]
    client.set_bucket_policy(bucket, json.dumps({"Version": "2012-10-17", "Statement": statements}))


@pytest.mark.parametrize(("theirs", "verdict"), [("fp32", Verdict.WELL), ("bf16-cpu", Verdict.WRONG)])
def test_a_worker_with_another_precision_is_found(own: Settings, theirs: str, verdict: Verdict) -> None:
    identity: Future[ModelIdentity] = Future()
    identity.set_result(MINE)
    other = ModelIdentity(MINE.name, MINE.weights_sha256, theirs, MINE.labels)
    with plant(own) as world:
        world.announce(1)
        one = world.result(0, 0, fingerprint=fingerprint(other, "split"), model="mine")
        world.commit(Place(world.input, 0), [(0, one)])
        (found,) = examine([group.check(own, SystemClock(), identity)])
    assert found.verdict is verdict
    assert ("of 1 partitions have a newest result of another model, precision" in found.says) == (theirs != "fp32")
