"""Which records a connector has put aside, by where they were read."""

from collections.abc import Collection

from streamproc.errors import UsageError
from streamproc.kafka.log import GoneError, Log
from streamproc.kafka.messages import whole
from streamproc.operate.place import Place, parse_place
from streamproc.operate.warehouse.aside import HEADER
from streamproc.records.record import Record

MOST = 1_000
"""Of each partition, the last so many are looked at."""


def origins(log: Log, topic: str, connector: str, since_ms: int) -> Collection[Place]:
    """Of what one connector has put aside, of records from ``since_ms`` on (ms since the epoch; Connect keeps times).

    No more than the last ``MOST`` of each partition of the dead-letter topic. Raises DependencyDownError.
    """
    try:
        partitions = log.partitions(topic)
    except UsageError:  # Connect makes the topic with the first record that it puts there
        return frozenset()
    first, bounds = log.at(partitions, since_ms), log.bounds(partitions)
    stretches = {one: range(max(first[one], bound.start), bound.stop)[-MOST:] for one, bound in bounds.items()}
    found: set[Place] = set()
    try:
        for records in log.read(stretches, whole):
            found.update(place for record in records if (place := _origin(record, connector)) is not None)
    except GoneError:  # retention takes what is there: the rest is still told
        pass
    return found


def _origin(record: Record, connector: str) -> Place | None:
    """None for what another connector put there, or another program."""
    told = {name.removeprefix(HEADER): (value or b"").decode(errors="replace") for name, value in record.headers}
    if told.get("connector.name") != connector:
        return None
    try:
        return parse_place("/".join(told.get(part, "") for part in ("topic", "partition", "offset")))
    except UsageError:
        return None
