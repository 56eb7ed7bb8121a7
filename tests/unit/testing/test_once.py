"""Two workers on one stream, where nothing goes wrong: each new content is computed once, whatever the schedule."""

from collections import Counter
from contextlib import closing
from random import Random

import pytest

from streamproc.records.analysis import Tier
from streamproc.testing.simulation.ends import check_end, quiet
from streamproc.testing.simulation.reading import row_of
from streamproc.testing.simulation.recordings import Kind, announce
from streamproc.testing.simulation.world import World
from streamproc.worker.stages.tiers import Tiers
from tests.unit.testing.steady import Steady

SEEDS = 40
CONTENTS = 12
SPAN_S = 2.0
APART_S = 0.1
"""Between the two events of a content: about what one takes."""
MOST_S = 60.0
ENOUGH = 0.99


pytestmark = pytest.mark.usefixtures("_silent")


def play(seed: int) -> World:
    """Each content is announced on both partitions, by events of their own, at almost the same time."""
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
        load.go_on(MOST_S, over=lambda: world.calm and quiet(world))
        check_end(world)
    return world


def test_what_two_workers_want_at_the_same_time_is_computed_by_one_of_them() -> None:
    once = shared = 0
    for seed in range(SEEDS):
        world = play(seed)
        rows = [row_of(stored) for stored in world.servers.written(world.settings.topics.results)]
        computed = Counter(row["content_sha256"] for row in rows if row["tier"] == "computed")
        assert len(computed) == CONTENTS
        once += sum(times == 1 for times in computed.values())
        shared += sum(row["tier"] == "redis" for row in rows)
    print(f"{once} of {SEEDS * CONTENTS} once, {shared} found in Redis")  # noqa: T201  # shown with -rP
    assert once >= ENOUGH * SEEDS * CONTENTS
    assert shared > 0.5 * SEEDS * CONTENTS, "the workers were hardly ever in each other's way"


def test_workers_that_claim_nothing_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def computes_at_once(self: Tiers, key: str) -> None:
        self.answer(key, None, Tier.COMPUTED)

    monkeypatch.setattr(Tiers, "_unknown", computes_at_once)
    world = play(0)
    rows = [row_of(stored) for stored in world.servers.written(world.settings.topics.results)]
    assert sum(row["tier"] == "computed" for row in rows) > CONTENTS
