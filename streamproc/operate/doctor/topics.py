"""The topics: there, and as they have to be."""

from collections.abc import Iterator, Mapping

from streamproc.kafka.preflight import Preflight, TopicState
from streamproc.operate.doctor.check import ANSWER_S, Check
from streamproc.operate.doctor.finding import Finding, doubtful, well, wrong
from streamproc.records.topics import topic_specs
from streamproc.settings import Settings, TopicSettings

_ONE_COPY = 1
_CURE = (
    "Make what is missing and alter what differs (kafka-topics.sh, kafka-configs.sh); on local servers `streamproc up` "
    "makes what is missing."
)


def check(settings: Settings) -> Check:
    """Every topic that a worker reads or writes."""
    return Check(
        "topics",
        "Is every topic there, with its partitions, cleanup, message size, copies, and a retention that audits need?",
        lambda: _look(settings),
        "See what is said of the brokers.",
    )


def _look(settings: Settings) -> Finding:
    specs = topic_specs(settings.topics)
    there = Preflight(settings, ANSWER_S).topics([spec.name for spec in specs])
    problems = [f"{spec.name} is not there, or not shown to us" for spec in specs if spec.name not in there]
    for spec in specs:
        if spec.name in there:
            problems += (f"{spec.name} {problem}" for problem in there[spec.name].problems(spec))
    problems += _retentions(settings.topics, there)
    if problems:
        return wrong(_first(problems), _CURE, *problems[1:])
    if hidden := [one.name for one in there.values() if one.config is None]:
        return doubtful(
            f"they are there, and this user may not read how they are set: {', '.join(hidden)}",
            "Grant DESCRIBE_CONFIGS on them, or let somebody run this who has it.",
        )
    unstamped = [spec.name for spec in specs if there[spec.name].unstamped(spec)]
    if unstamped:
        return doubtful(
            f"{', '.join(unstamped)} has message.timestamp.type=CreateTime: broker_clock_skew_seconds stays unknown",
            "Set it to LogAppendTime (kafka-configs.sh), for what is written from then on: without, no alert tells of "
            "clocks that are apart.",
        )
    few = [one.name for one in there.values() if one.replicas < settings.topics.replication_factor]
    if few:
        return doubtful(
            f"fewer copies than topics.replication_factor={settings.topics.replication_factor}: {', '.join(few)}",
            "Reassign their partitions (kafka-reassign-partitions.sh), or set topics.replication_factor to what is.",
        )
    if all(one.replicas == _ONE_COPY for one in there.values()) and len(there) > 0:
        return well(f"{len(there)} of {len(specs)}, one copy each: the end of a broker's disk is the end of them")
    return well(f"{len(there)} of {len(specs)}")


def _retentions(topics: TopicSettings, there: Mapping[str, TopicState]) -> Iterator[str]:
    """What is read together has to be kept together: input and ledger by an audit, letters and notes by a replay."""
    pairs = [(topics.recordings, name) for name in (topics.ledger, *topics.lanes)]
    for read, name in [*pairs, (topics.dead_letters, topics.replays)]:
        if read not in there or name not in there or there[read].config is None:
            continue  # how long what is read is kept nobody says: then nothing is too short for it
        if there[name].retention_ms < there[read].retention_ms:
            yield (
                f"{name} keeps records {_days(there[name].retention_ms)}, {read} "
                f"{_days(there[read].retention_ms)}: it has to keep them as long"
            )


def _days(milliseconds: float) -> str:
    return f"{milliseconds / 86_400_000:.3g} days"


def _first(problems: list[str]) -> str:
    return problems[0] if len(problems) == 1 else f"{problems[0]}; and {len(problems) - 1} more"
