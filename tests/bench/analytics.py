"""How fast rows are folded, by who brings them: Faust as shipped, a plain consumer, quixstreams; and how fast a member
that takes over reads what is there.

``python -m tests.bench.analytics --results 20000 [--quix PYTHON]`` on the servers that the settings lead to; ``PYTHON``
is an interpreter that has quixstreams, which cannot be installed beside this project's pydantic. Each brings the same
rows, of topics of its own making, to the same member, one process, one after the other.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from confluent_kafka import Consumer

from streamproc.analytics.history import History
from streamproc.analytics.member import Member
from streamproc.kafka.publisher import Publisher
from streamproc.settings import Settings, load_settings

PARTITIONS = 12


def own_settings(name: str) -> Settings:
    """The settings with topics and a group of this name."""
    settings = load_settings()
    what = ("recordings", "results", "segments", "ledger", "trends", "alerts", "partials")
    topics = settings.topics.model_copy(update={each: f"{name}.{each}" for each in what} | {"partitions": PARTITIONS})
    group = settings.analytics.model_copy(update={"group": f"{name}-{uuid.uuid4().hex[:6]}"})
    return settings.model_copy(update={"topics": topics, "analytics": group})


def timed(what: str, rows: int, bring: Callable[[int], float]) -> None:
    """Say how fast it was. ``bring`` gives the seconds from the first row to the last."""
    began = time.monotonic()
    seconds = bring(rows)
    whole = time.monotonic() - began
    sys.stdout.write(f"{what:24} {rows / seconds:8.0f} rows/s  ({whole - seconds:.1f} s until the first)\n")


def read_past(settings: Settings, rows: int) -> float:
    """Seconds for all rows, as a member that takes over reads them."""
    with History(settings) as history:
        member = history.member(history.partitions())
        began = time.monotonic()
        assert history.catch_up(member) == rows
        return time.monotonic() - began


def by_plain_consumer(settings: Settings, rows: int) -> float:
    """Seconds for all rows, by consumer.consume in a loop."""
    topics = settings.topics
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka.bootstrap_servers,
            "group.id": f"{settings.analytics.group}-plain",
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
        }
    )
    with History(settings) as history, closing(consumer):
        member = history.member(history.partitions())
        consumer.subscribe([topics.results, topics.segments])
        taken, began = 0, 0.0
        while taken < rows:
            for message in consumer.consume(500, 1.0):
                began = began or time.monotonic()
                place = message.topic() or "", message.partition() or 0, message.offset() or 0
                member.take(*place, message.timestamp()[1], message.value())
                taken += 1
        return time.monotonic() - began


def by_faust(settings: Settings, rows: int) -> float:
    """Seconds for all rows, by the app; it catches up with nothing, so that Faust brings each."""
    return asyncio.run(_faust(settings, rows))


async def _faust(settings: Settings, rows: int) -> float:
    from streamproc.analytics.app import Feed, build_app  # the interpreter with quixstreams has none

    class NoPast:
        """There is none."""

        def catch_up(self, _member: Member) -> int:
            return 0

    with History(settings) as history, closing(Publisher(settings)) as publisher:
        feed = Feed(settings, history.member(()), NoPast(), publisher, dict)
        with TemporaryDirectory() as folder:
            app = build_app(settings, feed, Path(folder))
            await app.start()
            await until(lambda: feed.rows > 0)
            before, began = feed.rows, time.monotonic()
            await until(lambda: feed.rows >= rows)
            seconds = time.monotonic() - began
            await app.stop()
        return seconds * rows / (rows - before)


async def until(true: Callable[[], bool]) -> None:
    """Wait for it, looking every 10 ms."""
    while not true():  # noqa: ASYNC110  # what is waited for is counted, and sets no event
        await asyncio.sleep(0.01)


def by_quix(settings: Settings, rows: int) -> float:
    """Seconds for all rows, by a quixstreams app without state: the least that it could take."""
    from quixstreams import Application  # type: ignore[import-not-found]  # in its own interpreter

    app = Application(
        broker_address=settings.kafka.bootstrap_servers,
        consumer_group=f"{settings.analytics.group}-quix",
        auto_offset_reset="earliest",
        consumer_extra_config={"isolation.level": "read_committed"},
        loglevel="ERROR",
    )
    taken, began = 0, 0.0
    with History(settings) as history:
        member = history.member(history.partitions())

        def take(topic: str) -> Callable[..., None]:
            def one(value: bytes, _key: object, timestamp: int, _headers: object) -> None:
                nonlocal taken, began
                began = began or time.monotonic()
                context = message_context()
                member.take(topic, context.partition, context.offset, timestamp, value)
                taken += 1
                if taken == rows:
                    app.stop()

            return one

        from quixstreams import message_context  # the same

        for name in (settings.topics.results, settings.topics.segments):
            frame = app.dataframe(app.topic(name, value_deserializer="bytes", key_deserializer="bytes"))
            frame.update(take(name), metadata=True)
        app.run()
        return time.monotonic() - began


def main() -> None:
    """Fill, then measure each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--results", type=int, default=20_000)
    parser.add_argument("--quix", help="an interpreter with quixstreams")
    parser.add_argument("--only", help="for that interpreter: the topics that are filled", nargs=2)
    asked = parser.parse_args()
    if asked.only:
        name, rows = asked.only
        timed("quixstreams", int(rows), lambda rows: by_quix(own_settings(name), rows))
        return
    from streamproc.wiring import prepare  # the interpreter with quixstreams has no torch
    from tests.e2e.conversations import Conversations  # the same

    name = f"bench-{uuid.uuid4().hex[:8]}"
    settings = own_settings(name)
    prepare(settings)
    Conversations(settings, seed=1, total=asked.results).write(asked.results)
    with History(settings) as history:
        rows = history.catch_up(history.member(history.partitions()))
    for _ in range(2):
        timed("taking over", rows, lambda rows: read_past(settings, rows))
        timed("plain consumer", rows, lambda rows: by_plain_consumer(own_settings(name), rows))
        timed("faust", rows, lambda rows: by_faust(own_settings(name), rows))
        if asked.quix:
            command = [asked.quix, "-m", "tests.bench.analytics", "--only", name, str(rows)]
            subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": "."})


if __name__ == "__main__":
    main()
