"""Whether the topics keep what windows are made of."""

from streamproc.analytics.windows import calendar
from streamproc.errors import UsageError
from streamproc.kafka.admin import ask_retention_ms
from streamproc.settings import Settings


def check_retention(settings: Settings) -> None:
    """Raise UsageError when a window outlives its rows, or what is told of it: whoever takes over would have less.

    Raises DependencyDownError.
    """
    made, app = calendar(settings.analytics), settings.analytics
    needed_ms = made.retention_ms + made.longest_ms + app.ahead_s * 1000
    topics = settings.topics
    for topic, kept_ms in ask_retention_ms(settings, [topics.results, topics.segments, topics.partials]).items():
        if kept_ms < needed_ms:
            raise UsageError(
                f"windows need their rows for {needed_ms // 1000} s (analytics.retention_s, the longest window and "
                f"ahead_s), but {topic} keeps them for {kept_ms // 1000} s (retention.ms): lengthen the one or shorten "
                "the other"
            )
