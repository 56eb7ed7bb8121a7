"""Whether what went back is remembered for as long as it could go back again."""

from collections.abc import Mapping

from streamproc.errors import UsageError
from streamproc.kafka.admin import ask_retention_ms
from streamproc.settings import Settings, TopicSettings


def check_kept(settings: Settings) -> None:
    """Raise UsageError where notes are gone before the letters that they tell of; DependencyDownError."""
    topics = settings.topics
    find_forgotten(topics, ask_retention_ms(settings, (topics.replays, topics.dead_letters)))


def find_forgotten(topics: TopicSettings, kept_ms: Mapping[str, int]) -> None:
    """The same of retentions in ms; a topic without one keeps its records for good."""
    notes, letters = (kept_ms.get(topic, float("inf")) for topic in (topics.replays, topics.dead_letters))
    if notes < letters:
        raise UsageError(
            f"{topics.replays} keeps records for less time than {topics.dead_letters}, so letters that it forgot would "
            f"go back twice: raise its retention.ms ({notes:.0f}) to more than that of the letters, or to -1"
        )
