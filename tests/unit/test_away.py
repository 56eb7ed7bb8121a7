"""A server that does not answer is named by its address and by the setting that leads there, without credentials."""

import re
from collections.abc import Callable

import pytest
from structlog.testing import capture_logs

from streamproc import wiring
from streamproc.dedupe.redis import RedisTier
from streamproc.errors import DependencyDownError, StoreError, TierError
from streamproc.kafka import admin
from streamproc.kafka.own_schemas import look_up_events
from streamproc.kafka.publisher import DeliveryError, Publisher
from streamproc.kafka.registry import connect
from streamproc.kafka.sink import IdempotentSink, TransactionalSink
from streamproc.kafka.tail import Tail
from streamproc.records.analysis_codec import analysis_from_bytes, analysis_to_bytes
from streamproc.records.record import OutputRecord
from streamproc.settings import Settings, load_settings, without_credentials
from streamproc.storage.s3 import S3Store
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.metrics import Metrics

KAFKA = "127.0.0.1:1 (kafka.bootstrap_servers): "


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that lead to a port that nobody listens on, and little patience."""
    monkeypatch.setattr("streamproc.kafka.lookup._CALL_S", 0.3)
    monkeypatch.setattr("streamproc.kafka.publisher._SPARE_S", 0.3)
    monkeypatch.setattr(admin, "_TIMEOUT_S", 0.3)
    return load_settings(
        kafka={"bootstrap_servers": "127.0.0.1:1", "transaction_timeout_s": 1},
        registry={"url": "http://me:hunter2@127.0.0.1:1"},
        redis={"url": "redis://me:hunter2@127.0.0.1:1/0"},
        storage={"endpoint": "http://127.0.0.1:1", "access_key": "me", "secret_key": "hunter2"},
    )


def publish(settings: Settings) -> None:
    publisher = Publisher(settings)
    publisher.send(OutputRecord("t", None, b"x"), "one")
    publisher.flush()


@pytest.mark.parametrize(
    "call",
    [
        lambda settings: Tail(settings, ["t"], None),
        lambda settings: TransactionalSink(settings, 0).open(),
        lambda settings: IdempotentSink(settings, lambda *_: None).open(),
        admin.create_topics,
        publish,
    ],
    ids=["tail", "exactly once", "at least once", "topics", "publish"],
)
def test_brokers(nowhere: Settings, call: Callable[[Settings], object]) -> None:
    with pytest.raises(DependencyDownError, match="kafka does not answer: " + re.escape(KAFKA)) as caught:
        call(nowhere)
    assert isinstance(caught.value, DeliveryError) == (call is publish)


def test_the_registry(nowhere: Settings) -> None:
    told = r"schema registry does not answer: http://127\.0\.0\.1:1 \(registry\.url\): ConnectError"
    with connect(nowhere.registry) as registry, pytest.raises(DependencyDownError, match=told) as caught:
        look_up_events(registry, nowhere.topics)
    assert "hunter2" not in str(caught.value)


def test_the_store(nowhere: Settings) -> None:
    told = r"bucket 'recordings' at http://127\.0\.0\.1:1 \(storage\.endpoint\): cannot connect"
    with pytest.raises(StoreError, match=told) as caught:
        S3Store(nowhere.storage, 1, SystemClock()).probe()
    assert "hunter2" not in str(caught.value)


def test_the_store_where_the_platform_is_prepared(nowhere: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for made in ("create_topics", "create_analytics_topics", "register_schemas"):
        monkeypatch.setattr(wiring, made, lambda *_: None)
    with pytest.raises(DependencyDownError, match=r"^object store does not answer: .*127\.0\.0\.1:1 \(storage"):
        wiring.prepare(nowhere)


def test_redis(nowhere: Settings) -> None:
    tier = RedisTier(nowhere.redis, analysis_to_bytes, analysis_from_bytes, SystemClock(), Metrics())
    with capture_logs() as lines:
        for _ in range(3):
            with pytest.raises(TierError):
                tier.get_many(["key"])
    (line,) = lines
    assert (line["url"], line["detail"]) == ("redis://127.0.0.1:1/0", "redis.url: ConnectionError")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:pw@host:1/path", "https://host:1/path"),
        ("redis://host:6379/0?password=pw", "redis://host:6379/0"),
        ("host:9092", "host:9092"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_credentials(url: str, shown: str) -> None:
    assert without_credentials(url) == shown
