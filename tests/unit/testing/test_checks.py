"""What the simulator judges a worker by: each check is silent on the worker as it is, and finds one that is broken."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from streamproc.arena import Lease
from streamproc.errors import Fatal, FatalError, FencedError, PoisonError, Reason, RecordError
from streamproc.records.record import CommitOffset, OutputRecord, TopicPartition
from streamproc.testing.broker.broker import MemoryBroker
from streamproc.testing.broker.sink import BrokerSink
from streamproc.testing.broker.values import Commit, CommittedOffset
from streamproc.testing.clock import ManualClock
from streamproc.testing.simulation import takeover
from streamproc.testing.simulation.bounds import check_bounds
from streamproc.testing.simulation.exits import EXPLAINED
from streamproc.testing.simulation.fault import Fault, FaultKind, Point
from streamproc.testing.simulation.heard import Heard
from streamproc.testing.simulation.held import CountedArena, Loan, Loans, lend
from streamproc.testing.simulation.limits import limits
from streamproc.testing.simulation.past import Past
from streamproc.testing.simulation.plan import make_plan
from streamproc.testing.simulation.recordings import Kind, announce
from streamproc.testing.simulation.simulation import play, simulate
from streamproc.testing.simulation.spans import settings_for
from streamproc.testing.simulation.violation import Violation
from streamproc.worker.core.batch import Taken
from streamproc.worker.poller import Poller, Room
from streamproc.worker.runtime import Runtime
from streamproc.worker.stages.assemble import Assemble
from streamproc.worker.stages.fetch import Fetch
from streamproc.worker.stages.prepare import Prepare

SEEDS = 60
"""Enough for every mistake here."""
SHORTAGE = 60
"""Decoders that end in a row: the first three with the same recording, more or less."""


@pytest.fixture
def found() -> Callable[[str], bool]:
    """Whether a few worlds show a violation that says this."""

    def play(says: str) -> bool:
        return any(says in (simulate(seed).violation or "") for seed in range(SEEDS))

    return play


def test_a_body_counts_until_nobody_holds_it() -> None:
    loans = Loans()
    first, second = (lend(b"12345", loans, Loan(5, 2)) for _ in range(2))
    assert (loans.size, loans.over) == (10, 4)
    assert first == second == b"12345"
    holder = [first]
    del first, second
    assert (loans.size, loans.over) == (5, 2)
    holder.clear()
    assert (loans.size, loans.over) == (0, 0)


def test_audio_counts_until_its_slot_is_given_back() -> None:
    arena = CountedArena(2)
    first, second = arena.lease(), arena.lease()
    assert isinstance(first, Lease)
    assert isinstance(second, Lease)
    arena.write(first, np.zeros(16_000, np.float32))
    arena.write(second, np.zeros(1_600, np.float32))
    assert arena.audio_ms == 1_100
    arena.release(first)
    assert arena.audio_ms == 100
    arena.close()


def test_what_is_allowed_follows_from_the_settings() -> None:
    settings = settings_for("consumer", "exactly_once", 3, 1, tight=True)
    found = limits(settings, [announce(1, Kind.PLAIN, 0, b"k", None)])
    assert (found.input_records, found.lane_records) == (2 * 3, 3)
    assert (found.size, found.undeclared, found.audio_ms) == (120, 60, 200)
    assert found.revoke_s == pytest.approx(settings.flow.drain_s, abs=0.1)
    assert limits(settings, [announce(1, Kind.LONG, 0, b"k", None)]).audio_ms == 200 + 15_030


def test_a_worker_that_keeps_bodies_is_found(found: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[bytes] = []
    arrived = Fetch._arrived

    def keeping(self: Fetch, admitted: Any, answer: Any, now: Any) -> None:
        kept.append(answer[0] if isinstance(answer, tuple) else b"")
        arrived(self, admitted, answer, now)

    monkeypatch.setattr(Fetch, "_arrived", keeping)
    assert found("of no record")


def test_what_is_held_of_no_record_is_found_unless_its_holder_leaves() -> None:
    world, process = holding_of_nothing()
    check_bounds(world)
    world.fibers.now += 2
    with pytest.raises(Violation, match=r"50 ms of audio and credit for .* of no record"):
        check_bounds(world)
    process.heard.close()
    check_bounds(world)
    world.fibers.now += 2
    check_bounds(world)


def holding_of_nothing() -> tuple[Any, Any]:
    """A world, and a worker in it that was given no record and holds 50 ms of audio."""
    source: Any = SimpleNamespace(close=lambda: None)
    nobody: Any = SimpleNamespace()
    heard = Heard(nobody, lambda: 0.0, lambda: 0.0, tell=ignore, begun=ignore, given_back=ignore)
    heard.listen(source)
    process = SimpleNamespace(
        name="worker 0.1",
        heard=heard,
        arena=SimpleNamespace(audio_ms=50),
        store=SimpleNamespace(loans=Loans(), under_way=0),
        device=SimpleNamespace(holds=0, passes_over=0),
        runtime=SimpleNamespace(brake={}, status=lambda: {"in_flight": {}}),
        frozen=False,
        holds_nothing_since=None,
    )
    settings = settings_for("consumer", "exactly_once", 3, 1, tight=False)
    world = SimpleNamespace(
        settings=settings,
        limits=limits(settings, [announce(1, Kind.PLAIN, 0, b"k", None)]),
        fibers=SimpleNamespace(now=0.0),
        processes=lambda: [process],
        longest_revoke_s=0.0,
    )
    return world, process


def ignore(_: object) -> None:
    """Take what nobody asks for here."""


def test_a_worker_that_fetches_without_credit_is_found(
    found: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Prepare, "_start", lambda _: False)  # what is fetched stays where it is
    monkeypatch.setattr("streamproc.worker.core.backlog.Load.within", lambda _, __: True)
    monkeypatch.setattr("streamproc.worker.core.credits.Weight.within", lambda _, __: True)
    assert found("bytes, at most")


def test_a_worker_that_polls_without_room_is_found(
    found: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Always(Room):
        """Room that nobody can take away."""

        def clear(self) -> None:
            """Stay."""

        def is_set(self) -> bool:
            return True

    made = Poller.__init__

    def init(self: Poller, *arguments: Any) -> None:
        made(self, *arguments)
        self.room = Always(self._host.flag())

    monkeypatch.setattr(Poller, "__init__", init)
    assert found("holds records")


def test_a_worker_that_holds_a_revoke_up_is_found(
    found: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    awaited = Poller._await

    def longer(self: Poller, settled: Any, began: float) -> bool:
        return awaited(self, settled, began) and awaited(self, self._host.flag(), began + 1)

    monkeypatch.setattr(Poller, "_await", longer)
    assert found("held a revoke up for")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that gives a recording up in the first try that ends with its decoders: memory is never short."""

    def fail(self: Assemble, taken: Taken, error: RecordError) -> None:
        if error.reason is Reason.KILLED_WORKER:
            error = PoisonError(error.reason, error.stage, error.message)
        kept(self, taken, error)

    kept = Assemble.fail
    monkeypatch.setattr(Assemble, "fail", fail)


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_gives_up_who_ends_its_decoders_in_its_first_try_is_found(found: Callable[[str], bool]) -> None:
    assert found("was given up in its first try")


@pytest.mark.usefixtures("impatient")
def test_a_worker_that_gives_up_who_was_there_when_memory_was_short_is_found() -> None:
    faults = tuple(Fault(FaultKind.DECODER_DEATH, Point.PREPARE, visit) for visit in range(1, SHORTAGE))
    violations = [
        play(replace(make_plan(seed), faults=faults, alone=False, retention_at=None)).violation for seed in range(20)
    ]
    assert any("ended as killed_worker, not as ok" in (violation or "") for violation in violations), violations


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (FencedError("mine"), "nothing that struck explains it: mine"),
        (FatalError("mine", Fatal.FATE_UNKNOWN), "nothing that struck explains it: mine"),
        (FatalError("mine", Fatal.START_UNKNOWN), "nothing that struck explains it: mine"),
        (FatalError("mine"), "crashed"),
        (KeyError("mine"), "crashed"),
    ],
)
def test_an_end_without_a_reason_is_found(
    found: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch, error: Exception, says: str
) -> None:
    commit = BrokerSink.commit

    def failing(
        self: BrokerSink, outputs: Sequence[OutputRecord], offsets: Sequence[CommitOffset], metadata: object
    ) -> None:
        commit(self, outputs, offsets, metadata)
        raise error

    monkeypatch.setattr(BrokerSink, "commit", failing)
    assert found(says)


def test_an_end_that_nobody_asked_for_is_found(found: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    steer = Runtime._steer

    def tired(self: Runtime, pipeline: Any) -> None:
        steer(self, pipeline)
        if self.uptime_s > 3 and self.state != "draining":
            self.stop()

    monkeypatch.setattr(Runtime, "_steer", tired)
    assert found("nobody asked it to")


def test_nothing_explains_what_no_code_expected() -> None:
    assert Fatal.UNFORESEEN not in EXPLAINED


def test_a_partition_that_nobody_takes_over_is_found(
    found: Callable[[str], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "takeover_s", lambda _: 0.1)
    assert found("nobody went on with")


def test_a_partition_that_was_taken_over_too_late_is_found_although_it_was() -> None:
    clock, settings = ManualClock(), settings_for("consumer", "exactly_once", 1, 1, tight=False)
    broker, place = MemoryBroker(clock), TopicPartition(settings.topics.recordings, 0)
    broker.create_topic(place.topic, 1)
    broker.append(*place, b"k", b"v")
    watched = takeover.Takeovers(settings, broker, Past(), clock.monotonic)
    dead: Any = SimpleNamespace(name="worker 0.0", source=SimpleNamespace(owned={place}))
    watched.struck(dead, Fault(FaultKind.CRASH, Point.FETCH, 1))
    clock.advance(100)
    seen = CommittedOffset(*place, 1, "", before=None, owner_when_sent="m", owner="m")
    watched(Commit(100.0, "slot-1", 0, settings.kafka.group, "m", (), (seen,)))
    assert (watched.seen, watched.longest_s) == (1, 100.0)
    with pytest.raises(Violation, match=r"for 100\.000 s after the crash of worker 0\.0"):
        watched.check()
