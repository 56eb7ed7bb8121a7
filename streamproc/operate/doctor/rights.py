"""What the brokers let a worker do."""

from collections.abc import Mapping

from streamproc.kafka.newest import NewestRecords
from streamproc.kafka.preflight import Preflight
from streamproc.operate.doctor.check import ANSWER_S, Check
from streamproc.operate.doctor.finding import Finding, well, wrong
from streamproc.settings import Settings, TopicSettings

_GROUP = frozenset({"READ", "DESCRIBE"})


def check(settings: Settings) -> Check:
    """Reading is tried, and a transactional id taken; of writing the brokers are asked: what is written stays."""
    return Check(
        "rights",
        "May this user read the input, write the outputs, use the group and the transactional ids?",
        lambda: _look(settings),
        "Grant what the line names to kafka.sasl_username (kafka-acls.sh).",
    )


def needed(topics: TopicSettings) -> Mapping[str, frozenset[str]]:
    """What a worker does with each topic, in the brokers' words."""
    read, write = frozenset({"READ", "DESCRIBE"}), frozenset({"WRITE", "DESCRIBE"})
    outputs = (topics.results, topics.segments, topics.ledger, topics.dead_letters)
    return {topics.recordings: read, **dict.fromkeys(topics.lanes, read | write), **dict.fromkeys(outputs, write)}


def _look(settings: Settings) -> Finding:
    brokers, kafka = Preflight(settings, ANSWER_S), settings.kafka
    wanted = needed(settings.topics)
    there = brokers.allowed(wanted)
    missing = [
        f"{', '.join(sorted(lacks))} on topic {name}" for name in wanted if (lacks := wanted[name] - there[name])
    ]
    if lacks := _GROUP - brokers.allowed_group():
        missing.append(f"{', '.join(sorted(lacks))} on group {kafka.group}")
    if missing:
        says = f"not granted, or not there: {missing[0]}"
        more = f"; and {len(missing) - 1} more" if missing[1:] else ""
        return wrong(f"{says}{more}", "Grant it (kafka-acls.sh), where the topic is there.", *missing[1:])
    NewestRecords(settings).read(settings.topics.recordings, ())
    if kafka.delivery == "exactly_once":
        brokers.try_transactions()
    return well(f"granted on {len(wanted)} topics and the group; the input was read")
