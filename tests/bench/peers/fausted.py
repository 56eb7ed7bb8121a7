"""The same on faust-streaming: an agent, one event after the other. ``python -m tests.bench.peers.fausted``."""

import tempfile

import faust
from faust.types import StreamT

from streamproc.settings import load_settings
from tests.bench.peers.work import COMMIT_S, make_work

if __name__ == "__main__":
    settings = load_settings()
    work = make_work(settings)
    app = faust.App(
        settings.kafka.group,
        broker=f"kafka://{settings.kafka.bootstrap_servers}",
        value_serializer="raw",
        key_serializer="raw",
        broker_commit_interval=COMMIT_S,
        consumer_auto_offset_reset="earliest",
        producer_linger=0.005,
        producer_compression_type="lz4",
        topic_disable_leader=True,
        topic_allow_declare=False,
        web_enabled=False,
        datadir=tempfile.mkdtemp(prefix="bench-faust-"),
    )
    recordings = app.topic(settings.topics.recordings, value_type=bytes, key_type=bytes)
    results = app.topic(settings.topics.results, value_type=bytes, key_type=bytes)

    @app.agent(recordings)
    async def analyse(stream: StreamT[bytes]) -> None:
        """Take events in turn."""
        async for key, value in stream.items():
            await results.send(key=key, value=work(value))

    faust.Worker(app, loglevel="WARN").execute_from_commandline()
