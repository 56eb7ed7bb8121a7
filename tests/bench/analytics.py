"""How fast rows are folded, by who brings them: Faust as shipped, a plain consumer, quixstreams; and how fast a member
that takes over reads what is there.

Each brings the same rows of the same topics to the same member, in one process, one after the other. quixstreams cannot
be installed beside this project's pydantic, so an interpreter of its own runs it (``python -m tests.bench.analytics``).
``python -m tools.analytics`` runs all of it, with what it measures.
"""

import asyncio
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from confluent_kafka import Consumer

from streamproc.analytics.history import History
from streamproc.analytics.member import Member
from streamproc.kafka.publisher import Publisher
from streamproc.settings import Settings, load_settings

TOPICS = ("results", "segments", "trends", "alerts", "partials")
TAKEOVER = "a member that takes over, reading what is there"
FAUST = "Faust, as shipped"


def another_group(settings: Settings) -> Settings:
    """The settings with a group that has read nothing."""
    group = settings.analytics.model_copy(update={"group": f"bench-{uuid.uuid4().hex[:8]}"})
    return settings.model_copy(update={"analytics": group})


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


def by_quix_elsewhere(settings: Settings, rows: int, python: str) -> float:
    """The same by another interpreter."""
    environment = {
        **os.environ,
        "PYTHONPATH": ".",
        "STREAMPROC_KAFKA__BOOTSTRAP_SERVERS": settings.kafka.bootstrap_servers,
        "STREAMPROC_REGISTRY__URL": settings.registry.url,
        "STREAMPROC_ANALYTICS__GROUP": settings.analytics.group,
        **{f"STREAMPROC_TOPICS__{name.upper()}": getattr(settings.topics, name) for name in TOPICS},
    }
    command = [python, "-m", "tests.bench.analytics", str(rows)]
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.split()[-1])


def measure(settings: Settings, rounds: int, quix: str | None) -> Iterator[tuple[str, float]]:
    """Who brings the rows that are there, and how many a second, one after the other."""
    with History(settings) as history:
        rows = history.catch_up(history.member(history.partitions()))
    by: dict[str, Callable[[Settings, int], float]] = {
        TAKEOVER: read_past,
        "a plain consumer": by_plain_consumer,
        FAUST: by_faust,
    }
    if quix is not None:
        by["quixstreams, without state of its own"] = partial(by_quix_elsewhere, python=quix)
    for _ in range(rounds):
        for name, bring in by.items():
            yield name, rows / bring(another_group(settings), rows)


if __name__ == "__main__":
    sys.stdout.write(f"{by_quix(load_settings(), int(sys.argv[1]))}\n")
