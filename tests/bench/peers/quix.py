"""The same on quixstreams, in an environment that has it. ``python -m tests.bench.peers.quix``.

It is no dependency of development: it wants other versions of confluent-kafka and pydantic than the product.
"""

import importlib
import tempfile

from streamproc.settings import load_settings
from tests.bench.peers.work import COMMIT_S, make_work

if __name__ == "__main__":
    settings = load_settings()
    work = make_work(settings)
    application = importlib.import_module("quixstreams").Application(
        broker_address=settings.kafka.bootstrap_servers,
        consumer_group=settings.kafka.group,
        auto_offset_reset="earliest",
        commit_interval=COMMIT_S,
        auto_create_topics=False,
        state_dir=tempfile.mkdtemp(prefix="bench-quix-"),
        producer_extra_config={"linger.ms": 5, "compression.type": "lz4", "enable.idempotence": True},
        loglevel="WARNING",
    )
    recordings = application.topic(settings.topics.recordings, value_deserializer="bytes", key_deserializer="bytes")
    results = application.topic(settings.topics.results, value_serializer="bytes", key_serializer="bytes")
    application.dataframe(recordings).apply(work).to_topic(results)
    application.run()
