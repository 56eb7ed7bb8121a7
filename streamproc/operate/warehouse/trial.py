"""A connector of one partition, record by record, beside one that stands: it ends exactly at what ends the other.

A task takes up to 500 records at a time, so where a connector stands does not tell which of them ends it.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

from streamproc.errors import DependencyDownError
from streamproc.kafka.log import Log
from streamproc.operate.place import Place
from streamproc.operate.warehouse.connectors import TRIAL
from streamproc.operate.warehouse.halt import NONE_YET, config_of, end_tasks, until
from streamproc.operate.warehouse.origins import origins
from streamproc.operate.warehouse.rest import NAME, Connect, State
from streamproc.operate.warehouse.skipped import with_skipped
from streamproc.operate.warehouse.stretch import ends, first_at, places
from streamproc.records.record import TopicPartition
from streamproc.settings import Settings

ONE_BY_ONE = {"tasks.max": "1", "consumer.override.max.poll.records": "1"}


class Trial:
    """What becomes of records that are read one by one; whose rows are written as by the connector itself."""

    def __init__(self, connect: Connect, settings: Settings, name: str, log: Log) -> None:
        self._connect = connect
        self._settings = settings
        self._name = name
        self._log = log

    def stops(self, begin: Place, target: int) -> tuple[Place, str] | None:
        """The first record from ``begin`` on that ends it, and what it says; None if it reads up to ``target``.

        A task commits behind the last row that it wrote, so a record that was put aside behind that would be taken for
        what ended it; one that has written nothing yet commits what it ended at. So it is the record at which a new
        task ends and gets no further. Raises DependencyDownError.
        """
        others = [end for end in ends(self._log, begin.partition.topic) if end.partition != begin.partition]
        self._connect.move(self._name, begin, *others)
        reached = begin.offset
        while True:
            state, at = self._read(begin.partition, target)
            if at >= target:
                return None
            if at == reached:
                if not state.failed:
                    raise DependencyDownError(NAME, f"{self._name} gets no further than {begin.partition}/{at}")
                stopped = Place(begin.partition, at)  # perhaps at a mark of a transaction
                return first_at(self._log, stopped) or stopped, state.problem or "it says nothing"
            reached = at

    def wrote(self, partition: TopicPartition, stretch: range, but: Collection[Place] = ()) -> bool:
        """Whether a record of a stretch that it has read became a row: none ``but``, and none that was put aside."""
        others = {*but, *origins(self._log, self._settings.topics.connect_dead_letters, self._name, 0)}
        return any(place not in others for place in places(self._log, partition, stretch))

    def _read(self, partition: TopicPartition, target: int) -> tuple[State, int]:
        """Let it read until it fails, is there, or nothing shows for a while; then end its tasks, which tells where."""
        connect, name = self._connect, self._name
        connect.resume(name)
        state = until(
            lambda: connect.state(name) or NONE_YET,
            self._settings.connect.timeout_s,
            lambda one: one.failed or (one.running and self._at(partition) >= target),
        )
        end_tasks(connect, self._settings, name)
        return state, self._at(partition)

    def _at(self, partition: TopicPartition) -> int:
        return next(one.offset for one in self._connect.places(self._name) if one.partition == partition)


@contextmanager
def open_trial(connect: Connect, settings: Settings, name: str, log: Log) -> Iterator[Trial]:
    """A trial of a connector, which is taken away after the block. Raises UsageError, DependencyDownError."""
    own = f"{name}{TRIAL}"
    plain = {key: value for key, value in with_skipped(config_of(connect, name), ()).items() if key != "name"}
    connect.remove(own)
    try:
        connect.make_stopped(own, plain | ONE_BY_ONE)
        yield Trial(connect, settings, own, log)
    finally:
        connect.remove(own)
