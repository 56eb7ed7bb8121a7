"""The real servers do what they are there for."""

import json
import urllib.request
import uuid
from io import BytesIO
from urllib.parse import urlsplit

import pytest
import redis
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from minio import Minio
from minio.error import S3Error

from streamproc.local.stack import Stack
from streamproc.settings import Settings


def test_all_four_run_with_their_version_and_memory(stack: Stack) -> None:
    assert [server.name for server in stack.servers] == ["kafka", "registry", "redis", "minio"]
    for server in stack.servers:
        assert server.state == "running"
        assert server.version
        assert server.memory_bytes
        assert server.memory_bytes > 1_000_000


def test_kafka_commits_a_transaction_that_a_reader_sees(servers: Settings) -> None:
    topic = f"local-{uuid.uuid4().hex}"
    bootstrap: dict[str, str | int | float | bool] = {"bootstrap.servers": servers.kafka.bootstrap_servers}
    admin = AdminClient(bootstrap)
    admin.create_topics([NewTopic(topic, 1)])[topic].result(60)
    producer = Producer({**bootstrap, "transactional.id": topic})
    producer.init_transactions(60)
    for value, commit in ((b"aborted", False), (b"committed", True)):
        producer.begin_transaction()
        producer.produce(topic, value)
        producer.commit_transaction(60) if commit else producer.abort_transaction(60)
    consumer = Consumer({**bootstrap, "group.id": topic, "group.protocol": "consumer", "auto.offset.reset": "earliest"})
    consumer.subscribe([topic])
    message = consumer.poll(90)
    consumer.close()
    assert message is not None
    assert message.value() == b"committed"


def test_kafka_makes_no_topic_by_accident(servers: Settings) -> None:
    admin = AdminClient({"bootstrap.servers": servers.kafka.bootstrap_servers})
    name = f"never-made-{uuid.uuid4().hex}"
    admin.list_topics(name, timeout=60)
    assert name not in admin.list_topics(timeout=60).topics


def test_the_registry_keeps_a_schema_and_finds_it_by_its_id(servers: Settings) -> None:
    schema = json.dumps({"type": "record", "name": f"r{uuid.uuid4().hex}", "fields": []})
    request = urllib.request.Request(  # noqa: S310  # an address of our own server
        f"{servers.registry.url}/subjects/{uuid.uuid4().hex}-value/versions",
        json.dumps({"schema": schema}).encode(),
        {"Content-Type": "application/vnd.schemaregistry.v1+json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  # the same
        number = json.load(answer)["id"]
    with urllib.request.urlopen(f"{servers.registry.url}/schemas/ids/{number}", timeout=60) as answer:  # noqa: S310  # the same
        assert json.loads(json.load(answer)["schema"]) == json.loads(schema)


def test_redis_keeps_a_value(servers: Settings) -> None:
    assert servers.redis.url is not None
    name = uuid.uuid4().hex
    with redis.Redis.from_url(servers.redis.url.get_secret_value()) as client:
        client.set(name, b"value", ex=60)
        assert client.get(name) == b"value"


def test_the_store_keeps_an_object_and_refuses_a_wrong_key(servers: Settings) -> None:
    host = urlsplit(servers.storage.endpoint).netloc
    access, secret = (key.get_secret_value() for key in (servers.storage.access_key, servers.storage.secret_key))
    bucket = uuid.uuid4().hex
    client = Minio(host, access, secret, secure=False, region=servers.storage.region)
    client.make_bucket(bucket)
    client.put_object(bucket, "key", BytesIO(b"body"), 4)
    with client.get_object(bucket, "key") as answer:
        assert answer.read() == b"body"
    with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
        Minio(host, access, "wrong" * 8, secure=False, region=servers.storage.region).list_buckets()
