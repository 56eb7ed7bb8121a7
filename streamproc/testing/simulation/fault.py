"""What can go wrong, and where."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple


class Point(StrEnum):
    """Places in a worker where another thread, another worker or a fault can come in between."""

    POLL = "poll"
    ASSIGN = "assign"
    REVOKE = "revoke"
    ADMIT = "admit"
    """The registry is asked for a schema."""
    FETCH = "fetch"
    LOOKUP = "lookup"
    """The shared tier is read."""
    PREPARE = "prepare"
    """A decoder child works."""
    INFER = "infer"
    """The device works."""
    REMEMBER = "remember"
    """The shared tier is written."""
    ASSEMBLE = "assemble"
    """A timeline, an embedding, or an original that no topic takes is put into the store."""
    METADATA = "metadata"
    """The commit asks who it is, before it asks what it owns."""
    BEGIN = "begin"
    PRODUCE = "produce"
    OFFSETS = "offsets"
    COMMIT = "commit"
    """The end of the transaction is asked for, and has not happened."""
    COMMITTED = "committed"
    """It has happened, and nobody was told."""
    ABORT = "abort"


class FaultKind(StrEnum):
    """What strikes."""

    CRASH = "crash"
    """The process is killed; its supervisor starts another."""
    REVOKE = "revoke"
    """Another worker joins, so that partitions are taken away from this one."""
    STOP = "stop"
    """The process is asked to end (SIGTERM), and another is started."""
    LOST = "lost"
    """The group gives the worker up."""
    ZOMBIE = "zombie"
    """The process stands still for longer than its session, and comes back."""
    TWIN = "twin"
    """The same, and meanwhile its slot is given to another process."""
    TIMEOUT = "timeout"
    """What is asked at this point does not answer in time."""
    DUPLICATE = "duplicate"
    """The client delivers records again."""
    REORDER = "reorder"
    """This ends after everything that was begun after it."""
    SLOW = "slow"
    """This takes longer than a pause, a session or a drain."""
    DOWN = "down"
    """A dependency goes away for a while."""
    DEVICE_DEATH = "device_death"
    DECODER_DEATH = "decoder_death"
    BROKER_RESTART = "broker_restart"


class Fault(NamedTuple):
    """A fault, armed at one visit to a point; visits are counted over all workers from 1."""

    kind: FaultKind
    point: Point
    visit: int
    waits: bool = False
    """Whether it waits, from that visit on, for one at which there is something to hit."""
    long: bool = False
    """Whether what is slow is slower than a drain."""


_SERIAL = (
    Point.METADATA,
    Point.BEGIN,
    Point.PRODUCE,
    Point.OFFSETS,
    Point.COMMIT,
    Point.COMMITTED,
    Point.ABORT,
)

IMPOSSIBLE: Mapping[tuple[FaultKind, Point], str] = MappingProxyType(
    {
        (FaultKind.TIMEOUT, Point.REVOKE): "partitions are given back by a heartbeat, which is asked for nothing",
        (FaultKind.TIMEOUT, Point.METADATA): "the identity is the one of the last poll, nobody is asked",
        (FaultKind.TIMEOUT, Point.BEGIN): "a transaction begins in the client, the broker hears of it later",
        **{
            (FaultKind.REORDER, point): "a worker commits one thing after the other: nothing is begun before this ends"
            for point in _SERIAL
        },
    }
)
"""Pairs that make no sense, and why."""

PAIRS = tuple((kind, point) for kind in FaultKind for point in Point if (kind, point) not in IMPOSSIBLE)
"""Every fault at every point that it can strike."""
