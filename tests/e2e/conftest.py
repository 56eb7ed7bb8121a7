"""A worker of its own for each test: topics, group, bucket content, process."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from minio import Minio

from streamproc.settings import Settings
from streamproc.wiring import prepare
from tests.e2e.corpus import MOST_BYTES, MOST_SECONDS, Corpus
from tests.e2e.oracle import Oracle
from tests.e2e.workers import Worker


@pytest.fixture
def own(servers: Settings) -> Settings:
    """The session's servers, with topics and a group that nobody else uses."""
    name = f"e2e-{uuid.uuid4().hex[:8]}"
    topics = servers.topics.model_copy(
        update={
            "recordings": f"{name}.recordings",
            "results": f"{name}.results",
            "segments": f"{name}.segments",
            "ledger": f"{name}.ledger",
            "partitions": 4,
        }
    )
    kafka = servers.kafka.model_copy(update={"group": name, "transactional_prefix": name})
    return servers.model_copy(update={"topics": topics, "kafka": kafka})


@pytest.fixture
def oracle(own: Settings) -> Iterator[Oracle]:
    prepare(own)
    names = {
        "input": own.topics.recordings,
        "results": own.topics.results,
        "segments": own.topics.segments,
        "ledger": own.topics.ledger,
        "dead": own.topics.dead_letters,
        "soon": own.topics.lanes[0],
        "later": own.topics.lanes[1],
    }
    oracle = Oracle(own.kafka.bootstrap_servers, own.registry.url, names)
    yield oracle
    oracle.close()


@pytest.fixture
def variables(own: Settings) -> dict[str, str]:
    """What a worker is started with."""
    return {
        "STREAMPROC_KAFKA__BOOTSTRAP_SERVERS": own.kafka.bootstrap_servers,
        "STREAMPROC_KAFKA__GROUP": own.kafka.group,
        "STREAMPROC_KAFKA__TRANSACTIONAL_PREFIX": own.kafka.transactional_prefix,
        "STREAMPROC_REGISTRY__URL": own.registry.url,
        "STREAMPROC_REDIS__URL": own.redis.url.get_secret_value() if own.redis.url else "",
        "STREAMPROC_STORAGE__ENDPOINT": own.storage.endpoint,
        "STREAMPROC_STORAGE__ACCESS_KEY": own.storage.access_key.get_secret_value(),
        "STREAMPROC_STORAGE__SECRET_KEY": own.storage.secret_key.get_secret_value(),
        "STREAMPROC_STORAGE__BUCKET": own.storage.bucket,
        "STREAMPROC_TOPICS__RECORDINGS": own.topics.recordings,
        "STREAMPROC_TOPICS__RESULTS": own.topics.results,
        "STREAMPROC_TOPICS__SEGMENTS": own.topics.segments,
        "STREAMPROC_TOPICS__LEDGER": own.topics.ledger,
        "STREAMPROC_AUDIO__MAX_OBJECT_BYTES": str(MOST_BYTES),
        "STREAMPROC_AUDIO__MAX_SECONDS": str(MOST_SECONDS),
        "STREAMPROC_FLOW__MICRO_BATCH_RECORDS": "4",  # many small transactions: more of them to be killed in
        "STREAMPROC_HTTP__PORT": "0",
    }


@pytest.fixture
def worker(variables: dict[str, str], tmp_path: Path) -> Iterator[Worker]:
    worker = Worker({**variables, "STREAMPROC_KAFKA__SLOT": "0"}, tmp_path)
    yield worker
    worker.stop()


@pytest.fixture
def corpus(own: Settings, oracle: Oracle) -> Corpus:
    store = Minio(
        urlsplit(own.storage.endpoint).netloc,
        access_key=own.storage.access_key.get_secret_value(),
        secret_key=own.storage.secret_key.get_secret_value(),
        secure=False,
    )
    return Corpus(oracle, store, own.storage.bucket, f"{own.topics.recordings}-value")
