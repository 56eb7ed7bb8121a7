import json
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs
from typer.testing import CliRunner

from streamproc.arena import ArenaMap
from streamproc.emotion.engine import Wave
from streamproc.records.compute import ItemError, Scored, SegmentHandle
from streamproc.records.record import TopicPartition
from streamproc.testing.device import read
from streamproc.testing.simulation import __main__ as command
from streamproc.testing.simulation import parts, simulation
from streamproc.testing.simulation.fault import PAIRS, Fault, FaultKind, Point
from streamproc.testing.simulation.kept import keep
from streamproc.testing.simulation.patience import simulate_patiently
from streamproc.testing.simulation.plan import Plan, make_plan
from streamproc.testing.simulation.recordings import Kind, announce
from streamproc.testing.simulation.report import Run, write_report
from streamproc.testing.simulation.simulation import play, simulate
from streamproc.testing.simulation.spans import STRAGGLER_S
from streamproc.testing.simulation.tally import Tally, tally
from streamproc.testing.simulation.violation import Violation
from streamproc.testing.simulation.world import World
from streamproc.worker.core.offsets import Offsets
from streamproc.worker.poller import Poller
from streamproc.worker.stages.resume import Progress, Resume
from tests.descriptors import arenas


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """The command silences the log of its process, which here is the tests'."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_guarantees_hold_in_a_few_worlds() -> None:
    found = tally(simulate(seed) for seed in range(40))
    assert found.failures == []
    assert found.transactions > 100
    assert len(found.struck) > 20


def test_a_run_that_breaks_a_guarantee_leaves_no_worker_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_world: World) -> None:
        raise Violation("G6", "said by a test")

    monkeypatch.setattr(simulation, "check_bounds", broken)
    before = arenas()
    assert play(make_plan(0)).violation == "G6: said by a test"
    assert arenas() == before


def test_equal_seeds_give_equal_runs_and_others_do_not() -> None:
    assert make_plan(5) == make_plan(5)
    assert simulate(5).digest == simulate(5).digest
    assert len({simulate(seed).digest for seed in range(10)}) == 10


def test_the_first_fault_goes_through_every_pair() -> None:
    firsts = {(fault.kind, fault.point) for seed in range(len(PAIRS)) for fault in make_plan(seed).faults}
    assert firsts == set(PAIRS)


def test_no_fault_of_a_plan_takes_the_place_of_another() -> None:
    for seed in range(2_000):
        faults = make_plan(seed).faults
        assert len({(fault.point, fault.visit) for fault in faults}) == len(faults)


def lonely(*faults: Fault, shared_tier: bool = True) -> Plan:
    """One worker and one recording of hours, and what strikes it."""
    return replace(
        make_plan(0),
        workers=1,
        partitions=1,
        tight=False,
        trust="content",
        archive=False,
        shared_tier=shared_tier,
        announced=((0.0, announce(0, Kind.HOURS, 0, b"k", None)),),
        gaps=(),
        faults=faults,
        alone=False,
        retention_at=None,
    )


def together(*faults: Fault) -> Plan:
    """One worker, and six recordings of declared sizes in one micro-batch."""
    announced = tuple((0.0, announce(number, Kind.PLAIN, 0, b"k", None)) for number in (0, 1, 2, 4, 5, 6))
    return replace(lonely(*faults), announced=announced, micro_batch_records=8)


def commits(plan: Plan) -> list[tuple[float, str]]:
    """When a worker came how far, in a run in which every guarantee held; where it began, it says before."""
    history: list[tuple[float, str]] = []
    assert play(plan, lambda at, what: history.append((at, what))).violation is None
    found = [(at, what.partition(" commits ")[2]) for at, what in history if " commits " in what]
    return [(at, what) for at, what in found if not what.endswith(" to 0']")]


def test_a_stalled_object_holds_its_neighbours_up_for_its_patience_and_no_longer() -> None:
    at_once, _ = commits(together())[0]
    stalled = commits(together(Fault(FaultKind.SLOW, Point.FETCH, visit=3, long=True)))
    assert stalled[0][1] == "['audio.recordings/0 to 6']"
    assert STRAGGLER_S <= stalled[0][0] < at_once + STRAGGLER_S + 0.5
    assert any("retry" in what for _, what in stalled)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the devices computed, segment by segment."""
    found: list[object] = []

    def counted(arena: ArenaMap, item: SegmentHandle) -> Wave | ItemError:
        wave = read(arena, item)
        found.append(wave)
        return wave

    monkeypatch.setattr(parts, "read", counted)
    return found


KILLED = Fault(FaultKind.CRASH, Point.INFER, visit=20)
FRESH_RECORD = 1
"""Is sent at the end, and has a segment too."""


def test_a_recording_of_hours_that_lost_its_owner_is_gone_on_with(computed: list[object]) -> None:
    found = play(lonely(KILLED))
    assert (found.violation, found.killed) == (None, 1)
    assert found.resumed == 18
    assert len(computed) - FRESH_RECORD <= 30 + 15


def test_without_a_shared_tier_it_is_begun_again(computed: list[object]) -> None:
    found = play(lonely(KILLED, shared_tier=False))
    assert (found.violation, found.killed, found.resumed) == (None, 1, 0)
    assert len(computed) - FRESH_RECORD >= 30 + 19


def test_scores_that_are_taken_up_for_another_stretch_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def any_known(_self: Resume, progress: Progress, _ready: object) -> Scored | None:
        return next(iter(progress.kept.values()), None)

    monkeypatch.setattr(Resume, "known", any_known)
    violation = play(lonely(KILLED)).violation
    assert violation is not None
    assert violation.startswith("G3")


def past_what_is_done(offsets: Callable[..., int | None]) -> Callable[..., int | None]:
    def broken(self: Offsets, partition: TopicPartition, epoch: int) -> int | None:
        found = offsets(self, partition, epoch)
        return None if found is None else found + 1

    return broken


def test_a_broken_worker_is_found_and_its_seed_played_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Offsets, "committable", past_what_is_done(Offsets.committable))
    found = tally(simulate(seed) for seed in range(20))
    assert found.failed > 0
    seed, violation = found.failures[0]
    assert simulate(seed).violation == violation


def test_a_worker_that_crashes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def raises(*_arguments: Any) -> None:
        raise KeyError("mine")

    monkeypatch.setattr(Poller, "assigned", raises)
    violation = simulate(0).violation
    assert violation is not None
    assert "KeyError" in violation


def _fails(monkeypatch: pytest.MonkeyPatch, seed: int, error: BaseException) -> None:
    begin = World.begin

    def failing(self: World) -> None:
        if self.plan.seed == seed:
            raise error
        begin(self)

    monkeypatch.setattr(World, "begin", failing)


def test_a_failure_of_the_simulator_fails_its_seed_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    _fails(monkeypatch, 1, KeyError("mine"))
    found = tally(simulate(seed) for seed in range(3))
    [(seed, violation)] = found.failures
    assert (found.seeds, seed) == (3, 1)
    assert re.fullmatch(r"the simulator itself: KeyError\('mine'\) in failing \(test_simulation\.py:\d+\)", violation)


def test_a_seed_that_does_not_end_fails_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(_self: Poller, *_arguments: Any) -> None:
        while True:
            pass

    monkeypatch.setattr(Poller, "assigned", endless)
    found = simulate_patiently(1, seconds=0.2)
    assert found.seed == 1
    said = r"it did not end in 0\.2 s of CPU, and was in endless \(test_simulation\.py:\d+\)"
    assert re.fullmatch(said, found.violation or "")
    assert signal.getitimer(signal.ITIMER_PROF) == (0, 0)


def test_one_that_ends_is_what_it_was() -> None:
    assert simulate_patiently(1) == simulate(1)


def test_whoever_stops_the_simulator_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    _fails(monkeypatch, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        simulate(1)


def test_the_command_plays_one_seed_with_its_history() -> None:
    answer = CliRunner().invoke(command.app, ["--seed", "1"])
    assert answer.exit_code == 0, answer.output
    assert re.match(
        r" +0\.0000  seed 1: (exactly|at_least)_once, group protocol \w+; workers \d; .*; faults: ", answer.output
    )
    assert re.search(r"worker \d\.\d ended well", answer.output)
    assert "None" not in answer.output
    assert "worker 0.0 starts" in answer.output
    assert "every guarantee held" in answer.output
    assert re.search(r"record \d+ \(\w+\) is announced at audio\.recordings/\d offset \d+, key k\d-\d", answer.output)
    assert re.search(r"record \d+ \(\w+\) at audio\.recordings/\d offset \d+: try 1: a result \(ok, ", answer.output)


def test_the_command_leaves_the_log_of_its_process_as_it_can_be_turned_back() -> None:
    before = structlog.get_config()
    CliRunner().invoke(command.app, ["--seed", "1"])
    structlog.configure(**before)
    with capture_logs() as lines:
        simulate(1)
    assert lines


def test_the_command_fails_below_its_floor_and_says_where() -> None:
    answer = CliRunner().invoke(command.app, ["--seeds", "2", "--processes", "1", "--floor", "1"])
    assert answer.exit_code == 1
    assert "had an effect less often than --floor asks" in answer.output
    assert "every guarantee held" in answer.output


def test_the_report_says_what_was_played_and_how_often_what_struck(tmp_path: Path) -> None:
    total = tally(simulate(seed) for seed in range(3))
    write_report(tmp_path / "reports" / "s.md", Run(0, 1, 1.5, total))
    text = (tmp_path / "reports" / "s.md").read_text()
    assert "Seeds 0 to 2" in text
    assert "| seeds that broke a guarantee | 0 |" in text
    assert "| crash |" in text


def test_what_the_page_shows_works() -> None:
    page = (Path(__file__).parents[3] / "docs" / "testing.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(blocks) > 1
    for block in blocks:
        exec(block, {})  # noqa: S102  # our own page


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_played(tmp_path: Path) -> None:
    answer = CliRunner().invoke(command.app, ["--seeds", "1", "--report", str(tmp_path)])
    assert answer.exit_code == 2
    assert "no report can be written" in answer.output


def test_what_one_seed_cannot_do_is_refused() -> None:
    assert CliRunner().invoke(command.app, ["--seed", "1", "--json"]).exit_code == 2


def _plays(monkeypatch: pytest.MonkeyPatch, program: str) -> Callable[..., Any]:
    monkeypatch.setattr(command, "commit", lambda: program)
    return lambda *more: CliRunner().invoke(command.app, ["--processes", "1", "--json", *map(str, more)])


def test_a_run_that_was_stopped_goes_on_from_what_it_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    play, kept, page = _plays(monkeypatch, "abc"), tmp_path / "state" / "kept.json", tmp_path / "page.md"
    whole = json.loads(play("--seeds", 150).output)
    joined = Tally.join

    def stop_after_two(self: Tally, other: Tally) -> None:
        joined(self, other)
        if other.seeds > 1 and self.seeds == 100:  # a part, not a seed
            monkeypatch.setattr(Tally, "join", joined)
            keep(kept, "abc", 0, 7.0, self)
            raise KeyboardInterrupt

    monkeypatch.setattr(Tally, "join", stop_after_two)
    stopped = play("--seeds", 150, "--keep", kept)
    assert (stopped.exit_code, json.loads(stopped.stdout)["seeds"]) == (130, 100)
    found = play("--seeds", 150, "--keep", kept, "--report", page)
    assert json.loads(found.output) == whole
    assert "Seeds 0 to 149" in page.read_text()
    assert not kept.exists()


def test_what_another_program_played_is_not_added_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    kept = tmp_path / "kept.json"
    keep(kept, "abc", 0, 1.0, tally([simulate(0)]))
    for program, first, said in (
        ("abd", 0, "delete it"),
        ("abc", 5, "delete it"),
        ("abc with changes", 0, "commit them"),
    ):
        answer = _plays(monkeypatch, program)("--seeds", 50, "--first", first, "--keep", kept)
        assert answer.exit_code == 2
        assert said in " ".join(answer.output.split())
    kept.write_text("{}")
    answer = _plays(monkeypatch, "abc")("--seeds", 50, "--keep", kept)
    assert answer.exit_code == 2
    assert "delete it" in " ".join(answer.output.split())
