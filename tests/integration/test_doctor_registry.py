"""What the doctor says of a registry that has some of our schemas."""

import pytest

from streamproc.kafka.own_schemas import register_schemas
from streamproc.kafka.registry import connect
from streamproc.operate.doctor import registry
from streamproc.operate.doctor.finding import Verdict
from streamproc.settings import Settings
from tests.integration.planted import own_topics


@pytest.mark.parametrize(
    ("topic", "verdict", "said"),
    [
        ("trends", Verdict.DOUBTFUL, "EmotionTrend under"),
        ("alerts", Verdict.DOUBTFUL, "EmotionAlert under"),
        ("ledger", Verdict.WRONG, "LedgerEntry under"),
    ],
)
def test_a_schema_that_is_missing_is_named_whoever_needs_it(
    patient: Settings, topic: str, verdict: Verdict, said: str
) -> None:
    settings = own_topics(patient)
    names = {name: f"{name}.{settings.topics.recordings}" for name in ("trends", "alerts")}
    settings = settings.model_copy(update={"topics": settings.topics.model_copy(update=names)})
    with connect(settings.registry) as client:
        register_schemas(client, settings.topics)
        check = registry.check(settings)
        assert check.look().verdict is Verdict.WELL
        client.delete_subject(f"{getattr(settings.topics, topic)}-value")
        found = check.look()
    assert (found.verdict, said in found.says) == (verdict, True)
    assert "streamproc schemas push" in found.advice


def test_all_that_is_wrong_is_named_at_once(patient: Settings) -> None:
    settings = own_topics(patient)
    topics = settings.topics
    with connect(settings.registry) as client:
        register_schemas(client, topics)
        client.set_compatibility(f"{topics.results}-value", "NONE")
        client.delete_subject(f"{topics.segments}-value")
        client.delete_subject(f"{topics.ledger}-value")
        found = registry.check(settings).look()
    assert found.verdict is Verdict.WRONG
    missing = f"EmotionSegment under {topics.segments}-value, LedgerEntry under {topics.ledger}-value"
    assert missing in found.says
    assert f"another rule: {topics.results}-value has NONE, not FULL_TRANSITIVE" in found.says
