"""The worker beside loops as most people write them: ``python -m tests.bench.peers``. Same servers, files, checkpoint.

Each runs alone, on topics of its own, first on recordings that nobody has heard, then on four that come again and
again. Each does four first; events per s lie between the sending of the others and the last row that a reader saw.
"""

import argparse
import dataclasses
import json
import os
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from importlib.util import find_spec

from confluent_kafka import Producer
from rich import box
from rich.console import Console
from rich.table import Table

from streamproc.bench.events import Stored, announce, store_clips
from streamproc.bench.machine import Machine, look
from streamproc.bench.recorded import store_new
from streamproc.bench.show import machine_line
from streamproc.kafka.tail import Tail
from streamproc.local import stack as servers
from streamproc.local.apart import apart
from streamproc.local.signals import interrupted_by_sigterm
from streamproc.local.worker import WorkerProcess
from streamproc.operate.progress import LiveProgress
from streamproc.records.record import OutputRecord
from streamproc.settings import Settings, load_settings
from streamproc.wiring import prepare

RUNNERS: Mapping[str, tuple[str, ...]] = {
    "streamproc": ("streamproc", "worker"),
    "streamproc on FunASR": ("streamproc", "worker"),
    "loop": ("tests.bench.peers.loop",),
    "faust": ("tests.bench.peers.fausted",),
    "quixstreams": ("tests.bench.peers.quix",),
}
OURS, QUIX = "streamproc", "quixstreams"
PACKAGES = ("confluent-kafka", "faust-streaming", "quixstreams", "funasr", "torch", "minio")
PARTITIONS = 1
"""Each is one process with one loop: so that none waits for a rebalance."""
WARM_UP = 4
"""As many as there are recordings that come again: whoever remembers knows them then."""
PATIENCE_S = 120
POLL_S = 0.05


def produce(settings: Settings, records: Sequence[OutputRecord]) -> None:
    """Send all, compressed as everybody's results are."""
    producer = Producer(
        {"bootstrap.servers": settings.kafka.bootstrap_servers, "linger.ms": 5, "compression.type": "lz4"}
    )
    for record in records:
        producer.produce(record.topic, record.value, record.key)
    if left := producer.flush(PATIENCE_S):
        sys.exit(f"{left} events were not sent")


@dataclasses.dataclass(frozen=True, slots=True)
class Rates:
    """Events per s of one runner, and ours over it where ours were measured too."""

    name: str
    new: float
    again: float
    new_ratio: float | None = None
    again_ratio: float | None = None

    def beside(self, ours: "Rates | None") -> "Rates":
        """With the ratios."""
        if ours is None:
            return self
        return dataclasses.replace(self, new_ratio=ours.new / self.new, again_ratio=ours.again / self.again)


def rate(
    settings: Settings, name: str, python: str, clips: Sequence[Stored], progress: LiveProgress, what: str
) -> float:
    """Events per s of one runner on these recordings."""
    run = f"peer-{uuid.uuid4().hex[:8]}"
    own = apart(settings, run, PARTITIONS)
    engine = "funasr" if name.endswith("FunASR") else "streamproc"
    model = own.model.model_copy(update={"engine": engine})
    redis = own.redis.model_copy(update={"url": type(own.storage.secret_key)("")})  # nothing that another run computed
    own = own.model_copy(update={"model": model, "redis": redis})
    prepare(own)
    runner = WorkerProcess(own, own.local.state_dir / f"{run}.log", RUNNERS[name], python)
    first, rest = clips[:WARM_UP], clips[WARM_UP:]
    with closing(Tail(own, [own.topics.results], None)) as tail:
        try:
            produce(own, announce(own, first, f"{run}-warm-up"))
            runner.start()
            arrive(tail, WARM_UP, runner, name, lambda _: None)
            records = announce(own, rest, run)
            began = time.monotonic()
            produce(own, records)
            ended = arrive(
                tail, len(rest), runner, name, lambda n: progress.count(f"{name}, {what}", "rows", n, len(rest))
            )
        finally:
            runner.stop()
    return len(rest) / (ended - began)


def arrive(tail: Tail, count: int, runner: WorkerProcess, name: str, told: Callable[[int], None]) -> float:
    """Wait for so many rows; when the last one came."""
    seen, at = 0, time.monotonic()
    while seen < count:
        runner.check()
        arrived = len(tail.poll(POLL_S))
        now = time.monotonic()
        if arrived:
            seen, at = seen + arrived, now
            told(seen)
        elif now - at > PATIENCE_S:
            sys.exit(f"{name}: {seen} of {count} rows. Its log: {runner.log}")
    return at


def measure(
    settings: Settings, names: Sequence[str], quix: str, events: int, progress: LiveProgress
) -> Sequence[Rates]:
    """One runner after the other, each on both kinds of recordings."""
    up = servers.up(settings, progress.server, prepare)
    try:
        new = store_new(up.settings, "wav", events + WARM_UP, progress.count)
        four = store_clips(up.settings)
        kinds = {"new": new, "again": [four[number % len(four)] for number in range(events + WARM_UP)]}
        found = []
        for name in names:
            python = quix if name == QUIX else sys.executable
            rates = {what: rate(up.settings, name, python, clips, progress, what) for what, clips in kinds.items()}
            found.append(Rates(name, **rates))
    finally:
        servers.down(settings, progress.server, only=up.started)
    ours = next((one for one in found if one.name == OURS), None)
    return [one.beside(ours) for one in found]


def show(found: Sequence[Rates], events: int, machine: Machine) -> None:
    """Print a table."""
    table = Table("events per s", "new", "again", "new, ratio", "again, ratio", box=box.SIMPLE)
    for one in found:
        ratios = ("" if ratio is None else f"{ratio:.1f}" for ratio in (one.new_ratio, one.again_ratio))
        table.add_row(one.name, f"{one.new:.1f}", f"{one.again:.1f}", *ratios)
    console = Console()
    console.print(table)
    console.print(f"{events} events each; ratio: ours over it.", highlight=False)
    console.print(machine_line(machine), highlight=False)


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=300, help="of each kind")
    parser.add_argument("--only", nargs="*", choices=list(RUNNERS), help="without it: all, quixstreams where it is")
    quix = os.environ.get("QUIX")
    parser.add_argument("--quix", default=quix, help="an interpreter that has quixstreams too; without it: $QUIX")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    has_quix = arguments.quix or find_spec("quixstreams")
    names = arguments.only or [name for name in RUNNERS if name != QUIX or has_quix]
    machine = look(PACKAGES)
    with interrupted_by_sigterm(), LiveProgress() as progress:
        found = measure(load_settings(), names, arguments.quix or sys.executable, arguments.events, progress)
    if arguments.json:
        runners = [dataclasses.asdict(one) for one in found]
        document = {"bench": "peers", "machine": dataclasses.asdict(machine), "runners": runners}
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        show(found, arguments.events, machine)


if __name__ == "__main__":
    main()
