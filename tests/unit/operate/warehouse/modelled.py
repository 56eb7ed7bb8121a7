"""A cluster of Connect in memory: its sink ends, puts aside and commits as Debezium's does (3.6.0, by its code).

What the code under test makes of the real one is seen in ``tests/integration/test_warehouse.py``.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from streamproc.errors import UsageError
from streamproc.operate.place import Place
from streamproc.operate.warehouse.rest import State
from streamproc.records.record import TopicPartition
from streamproc.settings import ConnectSettings, Settings

T = TypeVar("T")
NAME, TOPIC = "emotion-results", "emotion.results"
SETTINGS = Settings(connect=ConnectSettings(registry_url="http://registry/apis/registry/v2", timeout_s=0.1))
BATCH = "consumer.override.max.poll.records"
GOOD, TEXT, BAD, MARK = "gtb-"
"""A row; what the converter puts aside; what PostgreSQL refuses; the mark of a transaction, which is no record."""


def at(offset: int, partition: int = 0) -> Place:
    return Place(TopicPartition(TOPIC, partition), offset)


@dataclass
class Made:
    """One connector."""

    config: dict[str, str]
    connector: str = "RUNNING"
    tasks: tuple[str, ...] = ()
    offsets: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Message:
    """As much of a message as places need."""

    place: Place

    def topic(self) -> str:
        return self.place.partition.topic

    def partition(self) -> int:
        return self.place.partition.partition

    def offset(self) -> int:
        return self.place.offset


class Cluster:
    """The topic's partitions, each a word of the letters above, and what reads them."""

    def __init__(self, *partitions: str, **config: str) -> None:
        self.partitions_of = list(partitions)
        self.made = {NAME: Made({"topics": TOPIC, **config})}
        self.rows: set[Place] = set()
        self.aside: set[tuple[str, Place]] = set()
        """What was put aside, with whose it is."""
        self.calls: list[str] = []
        self._read(NAME)

    def now(self) -> Made:
        return self.made[NAME]

    # What is asked of Connect.

    def config(self, name: str) -> Mapping[str, str] | None:
        return self.made[name].config if name in self.made else None

    def put(self, name: str, config: Mapping[str, str]) -> None:
        self.calls.append("put")
        self.made[name].config = dict(config)

    def make_stopped(self, name: str, config: Mapping[str, str]) -> None:
        self.made[name] = Made(dict(config), "STOPPED")

    def state(self, name: str) -> State | None:
        made = self.made.get(name)
        return (
            None if made is None else State(made.connector, made.tasks, "refused" if "FAILED" in made.tasks else None)
        )

    def places(self, name: str) -> Sequence[Place]:
        return [at(offset, number) for number, offset in sorted(self.made[name].offsets.items())]

    def move(self, name: str, *to: Place) -> None:
        self.calls.append("move")
        assert not self.made[name].tasks
        self.made[name].offsets |= {place.partition.partition: place.offset for place in to}

    def stop(self, name: str) -> None:
        self.made[name].connector, self.made[name].tasks = "STOPPED", ()

    def forget_offsets(self, name: str) -> None:
        self.calls.append("forget")
        self.made[name].offsets = {}

    def resume(self, name: str) -> None:
        self.made[name].connector = "RUNNING"
        self._read(name)

    def remove(self, name: str) -> None:
        self.made.pop(name, None)

    # What is asked of the brokers.

    def partitions(self, topic: str) -> Sequence[TopicPartition]:
        if topic != TOPIC:
            raise UsageError(f"there is no topic {topic}")
        return [TopicPartition(TOPIC, number) for number in range(len(self.partitions_of))]

    def bounds(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, range]:
        return {one: range(len(self.partitions_of[one.partition])) for one in partitions}

    def read(self, stretches: Mapping[TopicPartition, range], take: Callable[[Message], T]) -> Iterator[list[T]]:
        for one, stretch in stretches.items():
            yield [
                take(Message(Place(one, offset)))
                for offset, _ in self._records(one.partition, stretch.start)
                if offset in stretch
            ]

    def close(self) -> None:
        """Nothing is open."""

    def put_aside(self, name: str) -> set[Place]:
        return {place for whose, place in self.aside if whose == name}

    # How a sink reads.

    def _records(self, partition: int, start: int) -> list[tuple[int, str]]:
        return [pair for pair in enumerate(self.partitions_of[partition]) if pair[0] >= start and pair[1] != MARK]

    def _read(self, name: str) -> None:
        """A new task: of each partition it commits behind what it wrote last, and knows no more of what it put aside;
        where it wrote nothing yet, the record that it ended at, or all that it has read."""
        made = self.made[name]
        position = {number: made.offsets.get(number, 0) for number in range(len(self.partitions_of))}
        own: dict[int, int] = {}
        made.tasks = ("RUNNING",)
        left = [(n, *record) for n, start in position.items() for record in self._records(n, start)]
        batch = int(made.config.get(BATCH, "500"))
        while left and made.tasks == ("RUNNING",):
            taken, left = left[:batch], left[batch:]
            given = [(number, offset) for number, offset, letter in taken if letter != TEXT]
            self.aside |= {(name, at(offset, number)) for number, offset, letter in taken if letter == TEXT}
            for number, offset in given:
                own.setdefault(number, offset)
            if any(letter == BAD for _, _, letter in taken):
                made.tasks = ("FAILED",)
            else:
                position |= {number: offset + 1 for number, offset, _ in taken}
                own |= {number: offset + 1 for number, offset in given}
                self.rows |= {at(offset, number) for number, offset in given}
        made.offsets |= {number: own.get(number, position[number]) for number in position}
