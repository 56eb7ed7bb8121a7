"""Two workers on one stream, where nothing goes wrong: each new content is computed once, whatever the schedule."""

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from random import Random

import pytest

from streamproc.records.analysis import Analysis, Tier
from streamproc.testing.simulation.ends import check_end, quiet
from streamproc.testing.simulation.reading import row_of
from streamproc.testing.simulation.recordings import Kind, announce
from streamproc.testing.simulation.world import World
from streamproc.worker.stages.lookup import Lookup
from streamproc.worker.stages.tiers import Tiers
from tests.unit.testing.steady import Steady

SEEDS = 40
CONTENTS = 12
SPAN_S = 2.0
APART_S = 0.1
"""Between the two events of a content: about what one takes."""
WAIT_S = 0.5
"""``dedupe.claim_wait_s`` of these worlds."""
BOUND_S = WAIT_S + 0.5
"""That, the calls before and after it, and the steps of a worker that has other things to do."""
MOST_S = 60.0
ENOUGH = 0.99


pytestmark = pytest.mark.usefixtures("_silent")


class Waits:
    """How long workers wait for each other, from "nobody has it" to an answer (virtual s)."""

    def __init__(self) -> None:
        self.clock: Callable[[], float] = lambda: 0.0
        self.spans: list[float] = []
        self._since: dict[tuple[int, str], float] = {}

    def began(self, tiers: Tiers, key: str) -> None:
        self._since.setdefault((id(tiers), key), self.clock())

    def ended(self, tiers: Tiers, key: str) -> None:
        since = self._since.pop((id(tiers), key), None)
        if since is not None:
            self.spans.append(self.clock() - since)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """What every worker waits, told by its own tiers."""
    waits, unknown, answered = Waits(), Tiers._unknown, Lookup._answered  # where a wait begins, and ends

    def begins(self: Tiers, key: str) -> None:
        waits.began(self, key)
        unknown(self, key)

    def ends(self: Lookup, key: str, analysis: Analysis | None, tier: Tier) -> None:
        waits.ended(self._tiers, key)
        answered(self, key, analysis, tier)

    monkeypatch.setattr(Tiers, "_unknown", begins)
    monkeypatch.setattr(Lookup, "_answered", ends)
    return waits


def play(seed: int, waits: Waits | None = None, dies_at: float | None = None) -> World:
    """Each content is announced on both partitions, by events of their own, at almost the same time.

    At ``dies_at`` (virtual s) a worker is killed with the claims that it has.
    """
    random = Random(f"once {seed}")
    announced = []  # numbers that are 3 apart have recordings of the same length, so a repeat is of the same bytes
    for content in range(CONTENTS):
        at, first = random.uniform(0, SPAN_S), random.randrange(2)
        for number, partition, like in ((6 * content, first, None), (6 * content + 3, 1 - first, 6 * content)):
            kind = Kind.PLAIN if like is None else Kind.REPEAT
            when = at + (0 if like is None else random.uniform(0, APART_S))
            announced.append((when, announce(number, kind, partition, b"k%d-0" % partition, like)))
    with closing(
        Steady(seed, archive=False, trust="content", announced=tuple(announced), burst=False, strict=False)
    ) as load:
        world = load.world
        if waits is not None:
            waits.clock = lambda: world.fibers.now
        if dies_at is not None:
            load.go_on(dies_at)
            world.crash(random.choice(world.processes()))
        load.go_on(MOST_S, over=lambda: world.calm and quiet(world))
        check_end(world)
    return world


def test_what_two_workers_want_at_the_same_time_is_computed_by_one_of_them(waits: Waits) -> None:
    once = shared = 0
    for seed in range(SEEDS):
        world = play(seed, waits)
        rows = [row_of(stored) for stored in world.servers.written(world.settings.topics.results)]
        computed = Counter(row["content_sha256"] for row in rows if row["tier"] == "computed")
        assert len(computed) == CONTENTS
        once += sum(times == 1 for times in computed.values())
        shared += sum(row["tier"] == "redis" for row in rows)
    print(f"{once} of {SEEDS * CONTENTS} once, {shared} found in Redis")  # noqa: T201  # shown with -rP
    assert once >= ENOUGH * SEEDS * CONTENTS
    assert shared > 0.5 * SEEDS * CONTENTS, "the workers were hardly ever in each other's way"
    print(f"longest wait {max(waits.spans):.3f} s")  # noqa: T201  # same
    assert max(waits.spans) <= BOUND_S


def test_what_a_dead_worker_has_claimed_is_waited_for_no_longer_than_the_bound(waits: Waits) -> None:
    for seed in range(SEEDS):
        world = play(seed, waits, dies_at=Random(f"dies {seed}").uniform(0.5, SPAN_S))
        rows = [row_of(stored) for stored in world.servers.written(world.settings.topics.results)]
        assert len({row["content_sha256"] for row in rows}) == CONTENTS
    assert max(waits.spans) >= WAIT_S, "nobody was left waiting for the dead"
    print(f"longest wait {max(waits.spans):.3f} s")  # noqa: T201  # same
    assert max(waits.spans) <= BOUND_S


def test_workers_that_claim_nothing_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def computes_at_once(self: Tiers, key: str) -> None:
        self.answer(key, None, Tier.COMPUTED)

    monkeypatch.setattr(Tiers, "_unknown", computes_at_once)
    world = play(0)
    rows = [row_of(stored) for stored in world.servers.written(world.settings.topics.results)]
    assert sum(row["tier"] == "computed" for row in rows) > CONTENTS
