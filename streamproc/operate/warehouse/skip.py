"""Let a connector pass over records that end it each time, and over no others."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from streamproc.errors import UsageError
from streamproc.kafka.log import Log
from streamproc.operate.place import Place
from streamproc.operate.warehouse.halt import (
    FAILS_S,
    NONE_YET,
    config_of,
    find,
    halted,
    need_known,
    need_registry,
    until,
)
from streamproc.operate.warehouse.rest import Connect, open_connect
from streamproc.operate.warehouse.skipped import skipped, with_skipped
from streamproc.operate.warehouse.stretch import count, first_at, is_there
from streamproc.operate.warehouse.trial import Trial, open_trial
from streamproc.records.record import TopicPartition
from streamproc.settings import Settings


@dataclass(frozen=True, slots=True)
class Passed:
    """What a connector was brought past."""

    skipped: Sequence[Place]
    """Records that are no rows: those that were named, and those that an earlier skip has named."""
    read: int
    """How many records before them, and between them, it had not read yet, and has read now."""


def pass_over(settings: Settings, name: str, named: Sequence[Place]) -> Passed:
    """Let a connector go on behind these records, each of which ends it; what lies before and between them is read.

    That they do is tried, record by record. They are kept, for when the topic is read again. Raises UsageError for a
    connector that runs, a record that is not there, was read already or is not what ends the connector, where it ends
    at the next record too, and where no other record shows that the warehouse takes any; DependencyDownError,
    GoneError, LeftStoppedError.
    """
    need_known(settings, name)
    with open_connect(settings.connect) as connect:
        topics = config_of(connect, name)["topics"].split(",")
        if elsewhere := [str(place) for place in named if place.partition.topic not in topics]:
            raise UsageError(f"{name} does not read {', '.join(elsewhere)}: its topic is {', '.join(topics)}")
        need_registry(settings, find(settings, name))
        state = until(lambda: connect.state(name) or NONE_YET, FAILS_S, lambda one: not one.running)
        if state.running:
            raise UsageError(f"{name} runs: no record ends it, and none is to be skipped")
    with closing(Log(settings, settings.kafka.group, glance=True)) as log:
        need_records(log, named)
        with halted(settings, name) as connect:
            return _pass(connect, settings, name, log, frozenset(named))


def need_records(log: Log, places: Iterable[Place]) -> None:
    """Raise UsageError for places without a record; DependencyDownError, GoneError."""
    if absent := [str(place) for place in places if not is_there(log, place)]:
        raise UsageError(
            f"there is no record at {', '.join(absent)}: it was never written, retention took it, or it was aborted"
        )


def stands(connect: Connect, name: str, log: Log, partition: TopicPartition) -> Place:
    """The record that a connector reads next of a partition. Raises DependencyDownError."""
    found = {place.partition: place for place in connect.places(name)}
    return found.get(partition) or Place(partition, log.bounds([partition])[partition].start)


def _pass(connect: Connect, settings: Settings, name: str, log: Log, named: frozenset[Place]) -> Passed:
    config = config_of(connect, name)
    known = skipped(config)
    begins = {one: stands(connect, name, log, one) for one in sorted({place.partition for place in named})}
    if early := [str(place) for place in sorted(named) if place < begins[place.partition]]:
        told = ", ".join(map(str, begins.values()))
        raise UsageError(f"{name} has read {', '.join(early)} already: what it reads next is {told}")
    passed: list[Place] = []
    read = 0
    with open_trial(connect, settings, name, log) as trial:
        for partition, begin in begins.items():
            mine = sorted(place for place in named if place.partition == partition)
            found = _walk(trial, log, begin, mine, named.union(known))
            passed += found
            read += count(log, partition, range(begin.offset, found[-1].offset + 1)) - len(found)
    # First what is kept: a place that is kept and not passed over yet is passed over by the next that asks.
    connect.put(name, with_skipped(config, [*known, *passed]))
    connect.move(name, *_behind(passed).values())
    return Passed(passed, read)


def _walk(trial: Trial, log: Log, begin: Place, mine: Sequence[Place], expected: Collection[Place]) -> list[Place]:
    """The records that end it, from where it stands to behind the last that is named. Raises UsageError."""
    start, last = begin.offset, mine[-1]
    passed: list[Place] = []
    why = ""
    control: Place | None = last
    while control is not None:
        target, control = _control(log, control, expected)
        while begin.offset < target and (found := trial.stops(begin, target)):
            stop, why = found
            if stop not in expected:
                raise UsageError(f"{_wrong(stop, mine, passed)}; nothing was skipped. What it says there: {why}")
            passed.append(stop)
            begin = Place(stop.partition, stop.offset + 1)
        begin = Place(last.partition, target)
        if innocent := [str(place) for place in mine if place not in passed]:
            raise UsageError(f"{', '.join(innocent)} is read without an error: there is nothing to skip")
        if control is not None and trial.wrote(last.partition, range(control.offset, target)):
            return passed
    if not trial.wrote(last.partition, range(start, last.offset), passed):
        raise UsageError(_unknowable(last, why))
    return passed


def _control(log: Log, before: Place, expected: Collection[Place]) -> tuple[int, Place | None]:
    """Up to where to read behind a place, and the record there, which must not end it; None where there is none.

    Those that were skipped before are none: they end it too.
    """
    target = before.offset + 1
    while following := first_at(log, Place(before.partition, target)):
        target = following.offset + 1
        if following not in expected:
            break
    return target, following


def _wrong(stop: Place, mine: Sequence[Place], passed: Collection[Place]) -> str:
    if innocent := [str(place) for place in mine if place < stop and place not in passed]:
        return f"{', '.join(innocent)} is read without an error, and what ends it is {stop}"
    if stop > mine[-1]:
        return f"it ends at {stop} too, behind {mine[-1]}: is any record at fault? Where both are, name both"
    return f"what ends it is {stop}, which was not named"


def _unknowable(last: Place, why: str) -> str:
    """Whatever keeps the warehouse from taking any row looks the same from here."""
    return (
        f"{last} ends it, and is the last of its partition, but for what is put aside: no record beside it is read "
        "without an error, so nothing shows whether the record is at fault or the warehouse; nothing was skipped. Heal "
        f"what it says there, or skip the record once there is one behind it. It says: {why}"
    )


def _behind(passed: Sequence[Place]) -> Mapping[TopicPartition, Place]:
    return {place.partition: Place(place.partition, place.offset + 1) for place in sorted(passed)}
