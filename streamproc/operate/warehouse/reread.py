"""Let a connector read its topic once more, past the records that it was told to skip."""

from collections.abc import Callable, Collection, Mapping
from contextlib import closing

from streamproc.errors import DependencyDownError, StreamprocError
from streamproc.kafka.log import Log
from streamproc.operate.place import Place
from streamproc.operate.warehouse.halt import NONE_YET, config_of, halted, until
from streamproc.operate.warehouse.rest import NAME, Connect, State, open_connect
from streamproc.operate.warehouse.skip import stands
from streamproc.operate.warehouse.skipped import skipped, with_skipped
from streamproc.operate.warehouse.stretch import is_there
from streamproc.operate.warehouse.trial import open_trial
from streamproc.records.record import TopicPartition
from streamproc.settings import Settings

AT_A_TIME = 1_000
"""Offsets that a task may be ahead of where it stands: 500 records, each perhaps with the mark of a transaction."""
STILL_S = 180.0
"""Without getting any further it is not waited for: three times what Connect lets pass between two commits."""


class StandsError(StreamprocError):
    """Raised when a connector that reads its topic again ends at something else than what it may skip."""


def read_again(settings: Settings, name: str, passed: Callable[[Place], None]) -> None:
    """Let a connector read its topic from the first record that is kept: rows are upserted, so none comes twice.

    For rows that went to the connector's dead letters and would be taken now. Where records were skipped it is waited
    for until it is behind them: each that ends it again is passed over again, and told to ``passed``; one that does not
    is a row now, and forgotten. Raises UsageError, DependencyDownError, GoneError, StandsError, LeftStoppedError.
    """
    with halted(settings, name) as connect:
        connect.forget_offsets(name)
        known = skipped(config_of(connect, name))
    if not known:
        return
    again: list[Place] = []
    with closing(Log(settings, settings.kafka.group, glance=True)) as log, open_connect(settings.connect) as connect:
        left = {place for place in known if is_there(log, place)}
        while left:
            state, at = _follow(connect, name, left)
            left = {place for place in left if not _behind(at, place)}
            if state.failed and left:
                place = _next(connect, name, log, left, state)
                if _pass(settings, name, log, place):
                    again.append(place)
                    passed(place)
                left.remove(place)
    if set(again) != set(known):
        with halted(settings, name) as connect:
            connect.put(name, with_skipped(config_of(connect, name), again))


def _behind(at: Mapping[TopicPartition, int], place: Place) -> bool:
    return at.get(place.partition, 0) > place.offset


def _follow(connect: Connect, name: str, left: Collection[Place]) -> tuple[State, Mapping[TopicPartition, int]]:
    """Wait until it has failed, or is behind all these places; what it does, and what it reads next."""

    def look() -> tuple[State, Mapping[TopicPartition, int]]:
        return connect.state(name) or NONE_YET, dict(connect.places(name))

    before: Mapping[TopicPartition, int] | None = None
    while True:
        state, at = until(look, STILL_S, lambda told: told[0].failed or all(_behind(told[1], place) for place in left))
        if state.failed or all(_behind(at, place) for place in left):
            return state, at
        if at == before:
            raise DependencyDownError(NAME, f"{name} reads its topic again and gets no further; it is left reading")
        before = at


def _next(connect: Connect, name: str, log: Log, left: Collection[Place], state: State) -> Place:
    """The record that a failed connector has come to. Raises StandsError where it is none of these."""
    ahead = {place: place.offset - stands(connect, name, log, place.partition).offset for place in left}
    near = [place for place in sorted(ahead, key=ahead.__getitem__) if ahead[place] < AT_A_TIME]
    if not near:
        raise StandsError(
            f"{name} reads its topic again and ended before it came to what it may skip ({', '.join(map(str, left))}): "
            f"{state.problem}. Once the cause is healed, `streamproc connect reread {name}` goes through"
        )
    return near[0]


def _pass(settings: Settings, name: str, log: Log, place: Place) -> bool:
    """Bring it behind a record; whether that is skipped again. Raises StandsError where another one ends it before."""
    with halted(settings, name) as connect:
        begin = stands(connect, name, log, place.partition)
        with open_trial(connect, settings, name, log) as trial:
            found = trial.stops(begin, place.offset + 1)
        if found is not None and found[0] != place:
            raise StandsError(
                f"{name} reads its topic again and ends at {found[0]}, which nobody has skipped yet: {found[1]}. If it "
                f"is to be skipped: `streamproc connect skip {name} {found[0]}`"
            )
        connect.move(name, Place(place.partition, place.offset + 1))
        return found is not None
