"""Workers come and go under load, and nobody who reads the topics can tell but by a pause."""

import random
import signal
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from streamproc.settings import Settings, handover_s, takeover_s
from tests.e2e.corpus import Corpus
from tests.e2e.crew import Crew, holds
from tests.e2e.load import Load
from tests.e2e.oracle import Oracle
from tests.e2e.progress import Progress, Wait
from tests.e2e.workers import PATIENCE_S, Worker, until

SEED = 4
WORKERS = 3
MICRO_BATCH = 32
AHEAD = 16
"""Records that wait in each partition: few enough to be in flight all together, so that no other queue counts."""
MOST_ABORTS = 4
Change = Literal["join", "stop", "kill"]
TWENTY: Sequence[tuple[Change, ...]] = (
    ("kill", "join"),
    ("stop", "join"),
    ("stop",),
    ("kill",),
    ("join", "join"),
    ("kill", "kill"),
    ("join",),
    ("stop", "join"),
    ("join",),
    ("stop", "stop"),
    ("join",),
    ("join", "kill"),
    ("join",),
)
"""What happens at the same time, one after the other; at least one worker always stays."""
SIX: Sequence[tuple[Change, ...]] = (("kill", "join"), ("stop",), ("join",), ("kill",), ("join",))
CODE: Mapping[Change, int] = {"stop": 0, "kill": -signal.SIGKILL}


@dataclass(frozen=True)
class Happened:
    """Some changes that were made together, from the first signal until their rebalances were seen."""

    changes: tuple[Change, ...]
    began: float
    ended: float

    def touches(self, wait: Wait) -> bool:
        return self.began <= wait.ended and wait.began <= self.ended

    def allows_s(self, settings: Settings) -> float:
        return takeover_s(settings) if "kill" in self.changes else handover_s(settings)


@pytest.fixture
def own(own: Settings, protocol: Literal["consumer", "classic"]) -> Settings:
    """Six partitions, so that each of three workers has some, and a takeover that a test can wait for."""
    topics = own.topics.model_copy(update={"partitions": 6})
    kafka = own.kafka.model_copy(update={"transaction_timeout_s": 8.0, "group_protocol": protocol})
    flow = own.flow.model_copy(update={"drain_s": 12.0, "pause_after_s": 2.0})
    return own.model_copy(update={"topics": topics, "kafka": kafka, "flow": flow})


@pytest.fixture
def crew(own: Settings, variables: dict[str, str], tmp_path: Path) -> Iterator[Crew]:
    short = {
        "STREAMPROC_KAFKA__GROUP_PROTOCOL": own.kafka.group_protocol,
        "STREAMPROC_KAFKA__TRANSACTION_TIMEOUT_S": str(own.kafka.transaction_timeout_s),
        "STREAMPROC_FLOW__DRAIN_S": str(own.flow.drain_s),
        "STREAMPROC_FLOW__PAUSE_AFTER_S": str(own.flow.pause_after_s),
        "STREAMPROC_FLOW__MICRO_BATCH_RECORDS": str(MICRO_BATCH),
        "STREAMPROC_MODEL__THREADS": "1",  # they share the cores
    }
    crew = Crew({**variables, **short}, tmp_path)
    yield crew
    crew.close()


def change(crew: Crew, changes: tuple[Change, ...], topic: str, draw: random.Random) -> Happened:
    """Make them all at once, then see the rebalance of each. Who leaves has as much of the topic as anybody."""
    crew.settle()
    began = time.monotonic()
    stay = draw.sample(crew.there, len(crew.there))
    stay.sort(key=lambda worker: sum(name.startswith(f"{topic}/") for name in holds(worker)))
    joined: list[Worker] = []
    left: list[tuple[Worker, frozenset[str], Change]] = []
    for one in changes:
        if one == "join":
            joined.append(crew.join())
        else:
            worker = stay.pop()
            left.append((worker, crew.leave(worker, kill=one == "kill"), one))
    assert stay, "nobody stays"
    for worker, held, how in left:
        assert held, f"{worker.log} held nothing, so that its end moves nothing"
        crew.await_heirs_of(held)
        assert worker.process.wait(PATIENCE_S) == CODE[how], worker.tail()
    for worker in joined:
        crew.await_share_of(worker)
    return Happened(changes, began, time.monotonic())


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("protocol", "schedule"), [("consumer", TWENTY), ("classic", SIX)], ids=["consumer", "classic"]
)
def test_workers_come_and_go_and_every_offset_has_one_outcome_and_no_partition_waits_too_long(
    own: Settings, oracle: Oracle, corpus: Corpus, crew: Crew, schedule: Sequence[tuple[Change, ...]]
) -> None:
    draw = random.Random(SEED)
    for _ in range(WORKERS):
        crew.join()
    crew.settle()
    ends = dict.fromkeys(range(own.topics.partitions), 0)
    progress = Progress(lambda: oracle.positions(own.kafka.group), ends)
    load = Load(oracle, corpus, AHEAD, ends, progress.committed)
    load.start()
    progress.start()
    happened = [change(crew, changes, own.topics.recordings, draw) for changes in schedule]
    load.stop()
    until(lambda: oracle.positions(own.kafka.group) == ends, PATIENCE_S, lambda: "not all is committed", crew.check)
    progress.stop()
    crew.stop()

    seen = oracle.seen()
    places = {(partition, offset) for partition, end in ends.items() for offset in range(end)}
    print(f"{len(places)} records")  # noqa: T201  # shown with -rP
    assert seen.outcomes(own.topics.recordings) == {place: [("result", "ok")] for place in places}
    assert seen.covered(own.topics.recordings) == Counter(places)
    # A rebalance spoils a transaction once, or twice with the classic protocol, and then the worker knows who it is.
    assert crew.most_aborts() <= MOST_ABORTS
    assert_nobody_waited_too_long(own, happened, progress.waits, crew.longest_micro_batch_s())


def assert_nobody_waited_too_long(
    own: Settings, happened: Sequence[Happened], waits: Sequence[Wait], work_s: float
) -> None:
    """Each wait against what the settings allow: more while a kill, whose session has to end, is not healed yet.

    That is for a machine that is quick. On any other a record waits for a place in flight, and then for its own
    micro-batch, so that twice the longest of those is added.
    """
    calm = Happened((), 0, 0)
    longest: dict[Happened, tuple[float, float]] = {}
    for wait in waits:
        meanwhile = [one for one in happened if one.touches(wait)] or [calm]
        cause = max(meanwhile, key=lambda one: "kill" in one.changes)
        allowed_s = max(one.allows_s(own) for one in meanwhile)
        longest[cause] = max(longest.get(cause, (0.0, allowed_s)), (wait.seconds, allowed_s))
    for cause, (seconds, allowed_s) in longest.items():
        print(  # noqa: T201  # shown with -rP
            f"{'+'.join(cause.changes) or 'between':12} {cause.ended - cause.began:5.1f} s, no progress for up to "
            f"{seconds:4.1f} s of {allowed_s:.1f} s"
        )
    print(f"a micro-batch took up to {work_s:.1f} s")  # noqa: T201  # shown with -rP
    assert {cause: two for cause, two in longest.items() if two[0] > two[1] + 2 * work_s} == {}
