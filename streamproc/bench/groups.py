"""Two group protocols under the same load, joins and leaves: aborts, records lost or doubled, stand-stills."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import count, pairwise

from streamproc.bench.machine import Machine, look
from streamproc.bench.member import Member, Progress
from streamproc.bench.scratch import PARTITIONS, scratch
from streamproc.bench.stretch import UntrueRunError
from streamproc.kafka.publisher import Publisher
from streamproc.kafka.tail import Tail
from streamproc.local import stack as servers
from streamproc.local.signals import interrupted_by_sigterm, shielded
from streamproc.local.toolbox import Report
from streamproc.records.record import OutputRecord
from streamproc.settings import Settings
from streamproc.telemetry.told import Told

PROTOCOLS = ("classic", "consumer")
STAYING = 2
"""Members that are there all the time; one more comes and goes."""
EVERY_S = 3.0
"""Between two changes; a join is over long before."""
RATE = 400
"""Records a second, over all partitions."""
TICK_S = 0.02
PATIENCE_S = 60.0
POLL_S = 0.2
PACKAGES = ("confluent-kafka",)


@dataclass(frozen=True, slots=True)
class Churn:
    """One run of one protocol."""

    protocol: str
    changes: int
    """Joins and leaves."""
    sent: int
    transactions: int
    aborts: int
    doubled: int
    """Results that were there before."""
    lost: int
    """Records without a result."""
    longest_gap_s: float
    """Of any partition between two commits, from the first record that was sent to the last."""


@dataclass(frozen=True, slots=True)
class GroupsReport:
    """Everything that was measured."""

    machine: Machine
    runs: Sequence[Churn]


def run_groups(settings: Settings, rounds: int, changes: int, report: Report, told: Told) -> GroupsReport:
    """Measure; what was started is stopped, whatever happens. Raises StreamprocError, KafkaException."""
    machine = look(PACKAGES)
    with interrupted_by_sigterm(), ExitStack() as stack:
        up = servers.up(settings, report, _nothing)
        stack.callback(shielded, lambda: servers.down(settings, report, only=up.started))
        runs = []
        for number in range(rounds):
            for protocol in PROTOCOLS if number % 2 else PROTOCOLS[::-1]:
                runs.append(_churn(up.settings, protocol, changes))
                told("churn", protocol, len(runs), rounds * len(PROTOCOLS))
    return GroupsReport(machine, runs)


def _nothing(_settings: Settings) -> None:
    """The run makes its own topics."""


def _churn(settings: Settings, protocol: str, changes: int) -> Churn:
    kafka = settings.kafka.model_copy(update={"group_protocol": protocol})
    with ExitStack() as stack:
        own = stack.enter_context(scratch(settings.model_copy(update={"kafka": kafka})))
        progress: list[Progress] = []
        crew: list[Member] = []
        stack.callback(_leave, crew)
        crew += [Member(own, slot, progress.append) for slot in range(STAYING)]
        _wait(lambda: sum(member.owned for member in crew) == PARTITIONS and all(m.owned for m in crew))
        tail = stack.enter_context(closing(Tail(own, [own.topics.results], None)))
        start = time.monotonic()
        with _load(own) as sent:
            guest: Member | None = None
            for _ in range(changes):
                time.sleep(EVERY_S)
                if guest is None:
                    crew.append(guest := Member(own, STAYING, progress.append))
                else:
                    guest.leave()
                    guest = None
            time.sleep(EVERY_S)
        end = time.monotonic()
        results = _read(tail, sent)
        _leave(crew)
        results += Counter(record.value for record in tail.poll(POLL_S))
    return Churn(
        protocol=protocol,
        changes=changes,
        sent=len(sent),
        transactions=len(progress),
        aborts=sum(len(member.aborts) for member in crew),
        doubled=results.total() - len(results),
        lost=len(set(sent) - set(results)),
        longest_gap_s=longest_gap(progress, PARTITIONS, start, end),
    )


def _leave(crew: Sequence[Member]) -> None:
    for member in crew:
        member.leave()
    for member in crew:
        if member.failure is not None:
            raise UntrueRunError(f"a member gave up: {member.failure}") from member.failure


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        if time.monotonic() > deadline:
            raise UntrueRunError(f"the group did not settle in {PATIENCE_S:g} s")
        time.sleep(TICK_S)


@contextmanager
def _load(settings: Settings) -> Iterator[list[bytes]]:
    """Numbered records at a steady rate while the block runs; yields those that were sent."""
    sent: list[bytes] = []
    stop = threading.Event()

    def send() -> None:
        with closing(Publisher(settings)) as publisher:
            begun, numbers = time.monotonic(), count()
            while not stop.wait(TICK_S):
                while len(sent) < RATE * (time.monotonic() - begun):
                    value = b"%d" % next(numbers)
                    publisher.send(OutputRecord(settings.topics.recordings, value, value), value.decode())
                    sent.append(value)
            publisher.flush()

    thread = threading.Thread(target=send, name="load")
    thread.start()
    try:
        yield sent
    finally:
        stop.set()
        thread.join()


def _read(tail: Tail, sent: Sequence[bytes]) -> Counter[bytes | None]:
    """Read results until each record has one, or nothing has come for too long."""
    results: Counter[bytes | None] = Counter()
    deadline = time.monotonic() + PATIENCE_S
    while len(results) < len(sent) and time.monotonic() < deadline:
        if records := tail.poll(POLL_S):
            results.update(record.value for record in records)
            deadline = time.monotonic() + PATIENCE_S
    return results


def longest_gap(progress: Sequence[Progress], partitions: int, start_s: float, end_s: float) -> float:
    """The longest time without a commit of any partition between two moments; they count as commits of all."""
    longest = 0.0
    for partition in range(partitions):
        commits = (p.at_s for p in progress if partition in p.partitions and start_s <= p.at_s <= end_s)
        longest = max(longest, *(after - before for before, after in pairwise([start_s, *sorted(commits), end_s])))
    return longest
