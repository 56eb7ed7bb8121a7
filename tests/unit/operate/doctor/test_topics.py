from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from streamproc.kafka.preflight import TopicState
from streamproc.operate.doctor import topics
from streamproc.operate.doctor.finding import Verdict
from streamproc.records.topics import topic_specs
from streamproc.settings import Settings, TopicSettings

TOPICS = TopicSettings()


@pytest.fixture
def hidden() -> set[str]:
    """Topics that this user may not read the settings of."""
    return set()


@pytest.fixture
def unstamped() -> set[str]:
    """Topics whose records the broker does not stamp."""
    return set()


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch, hidden: set[str], unstamped: set[str]) -> dict[str, timedelta]:
    """How long topics keep their records, where that is not what they are made with."""
    changed: dict[str, timedelta] = {}

    class Preflight:
        def __init__(self, _settings: Settings, _answer_s: float) -> None:
            pass

        def topics(self, _names: Sequence[str]) -> Mapping[str, TopicState]:
            states = {}
            for spec in topic_specs(TOPICS):
                retention = changed.get(spec.name, spec.retention) // timedelta(milliseconds=1)
                config = {"message.timestamp.type": "CreateTime", **spec.config, "retention.ms": str(retention)}
                if spec.name in unstamped:
                    config["message.timestamp.type"] = "CreateTime"
                states[spec.name] = TopicState(spec.name, spec.partitions, 1, None if spec.name in hidden else config)
            return states

    monkeypatch.setattr(topics, "Preflight", Preflight)
    return changed


@pytest.mark.usefixtures("kept")
def test_a_ledger_that_the_broker_does_not_stamp_is_doubtful(unstamped: set[str]) -> None:
    assert topics.check(Settings(topics=TopicSettings(replication_factor=1))).look().verdict is Verdict.WELL
    unstamped.add(TOPICS.ledger)
    finding = topics.check(Settings(topics=TopicSettings(replication_factor=1))).look()
    assert finding.verdict is Verdict.DOUBTFUL
    assert finding.says.startswith(f"{TOPICS.ledger} has message.timestamp.type=CreateTime")
    assert "LogAppendTime" in finding.advice


def found() -> str:
    finding = topics.check(Settings()).look()
    return " ".join([finding.says, *finding.details])


def test_topics_as_they_are_made_keep_long_enough(kept: dict[str, timedelta]) -> None:
    assert not kept
    assert "keeps records" not in found()


@pytest.mark.parametrize(
    ("read", "name"),
    [(TOPICS.recordings, TOPICS.ledger), (TOPICS.recordings, TOPICS.lanes[1]), (TOPICS.dead_letters, TOPICS.replays)],
)
def test_what_is_read_together_has_to_be_kept_together(kept: dict[str, timedelta], read: str, name: str) -> None:
    kept[read] = timedelta(days=90)
    kept |= {one: kept[read] for one in (TOPICS.ledger, *TOPICS.lanes, TOPICS.replays) if one != name}
    assert f"{name} keeps records" in found()
    assert f", {read} 90 days: it has to keep them as long" in found()
    kept[name] = timedelta(milliseconds=-1)
    assert "keeps records" not in found()


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("name", [TOPICS.recordings, TOPICS.ledger, TOPICS.dead_letters])
def test_a_retention_that_may_not_be_read_is_compared_with_none(hidden: set[str], name: str) -> None:
    hidden.add(name)
    finding = topics.check(Settings()).look()
    assert finding.verdict is Verdict.DOUBTFUL
    assert finding.says.endswith(f"may not read how they are set: {name}")
