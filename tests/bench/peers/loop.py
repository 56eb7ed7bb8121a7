"""One record at a time: poll, get, model, produce, commit each half second. ``python -m tests.bench.peers.loop``."""

import time

from confluent_kafka import Consumer, Producer

from streamproc.settings import load_settings
from tests.bench.peers.work import COMMIT_S, make_work

if __name__ == "__main__":
    settings = load_settings()
    work = make_work(settings)
    servers = {"bootstrap.servers": settings.kafka.bootstrap_servers}
    consumer = Consumer(
        {**servers, "group.id": settings.kafka.group, "enable.auto.commit": False, "auto.offset.reset": "earliest"}
    )
    producer = Producer({**servers, "linger.ms": 5, "enable.idempotence": True, "compression.type": "lz4"})
    consumer.subscribe([settings.topics.recordings])
    committed = time.monotonic()
    taken = False
    while True:
        message = consumer.poll(0.1)
        if message is not None and message.error() is None:
            producer.produce(settings.topics.results, work(message.value() or b""), message.key())
            taken = True
        if taken and time.monotonic() - committed >= COMMIT_S:
            producer.flush()
            consumer.commit(asynchronous=False)
            committed, taken = time.monotonic(), False
