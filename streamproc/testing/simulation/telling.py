"""What a run begins with, and what it came to, record by record, for whoever reads its history."""

from collections import Counter, defaultdict

from streamproc.records.outcome import OutcomeKind
from streamproc.testing.simulation.ends import outputs
from streamproc.testing.simulation.reading import Origin, Reader, row_of
from streamproc.testing.simulation.world import World


def tell_plan(world: World) -> None:
    """Tell the world that the seed has drawn: the first line of a history."""
    plan = world.plan
    kinds = Counter(announced.kind for _, announced in plan.announced)
    faults = [f"{fault.kind} at {fault.point} (visit {fault.visit})" for fault in plan.faults]
    parts = (
        f"seed {plan.seed}: {plan.delivery}, group protocol {plan.protocol}",
        f"workers {plan.workers}",
        f"partitions {plan.partitions}",
        f"records in a micro-batch {plan.micro_batch_records}",
        f"shared tier {'yes' if plan.shared_tier else 'no'}",
        f"trusted is the {plan.trust}",
        *(["archive"] if plan.archive else []),
        *(["little may be in flight"] if plan.tight else []),
        *(["who is killed is not started again before the heal"] if plan.alone else []),
        *([] if plan.retention_at is None else [f"retention at {plan.retention_at:.4f}"]),
        *(["strict order"] if plan.strict else []),
        *(["a burst of bad records"] if plan.burst else []),
        f"records {len(plan.announced)} ({', '.join(f'{kind} {count}' for kind, count in kinds.items())})",
        f"faults: {', '.join(faults) or 'none'}",
    )
    world.tell("; ".join(parts))


def tell_outcomes(world: World) -> None:
    """Tell the outcomes of every record in turn, and which faults hit nothing."""
    reader = Reader(world.settings.topics)
    outcomes: defaultdict[Origin, list[str]] = defaultdict(list)
    for stored in sorted(outputs(world), key=lambda stored: stored.timestamp_ms):
        end = reader.end(stored)
        if end is None:
            continue
        where = "a dead letter" if end.kind is OutcomeKind.DEAD_LETTER else "a result"
        where = f"sent to {stored.topic}" if end.kind is OutcomeKind.RETRY else where
        tier = f", {row_of(stored)['tier']}" if end.kind is OutcomeKind.RESULT else ""
        outcomes[end.origin].append(f"try {end.attempts}: {where} ({end.what}{tier})")
    for (partition, offset), announced in world.upstream.sent.items():
        found = outcomes[Origin(partition, offset)]
        lost = "lost to retention" if (partition, offset) in world.upstream.lost else "nothing visible"
        place = f"{world.settings.topics.recordings}/{partition} offset {offset}"
        world.tell(f"record {announced.number} ({announced.kind}) at {place}: {'; '.join(found) or lost}")
    came = {one.fault for one in world.past.struck}
    for fault in world.plan.faults:
        if fault not in world.felt:
            struck = "hit nothing" if fault in came else "never came to strike"
            world.tell(f"{fault.kind} at {fault.point}, visit {fault.visit}: {struck}")
