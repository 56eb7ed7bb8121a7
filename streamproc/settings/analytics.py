"""What is set below ``analytics``."""

from streamproc.kinds import Attributes, Count, Name, Names, Port, Positive, Share
from streamproc.settings.section import Section


class AnalyticsSettings(Section):
    """Trends and alerts over the results (docs/analytics.md)."""

    group: Name = "streamproc-analytics"
    """The group of the app's processes; another name begins anew, beside the old one."""
    attributes: Attributes = ("tenant", "agent", "queue")
    """What windows are kept for, beside all results together."""
    most_values: Count = 10_000
    """So many different values of an attribute are kept apart, in each stretch of time of a partition; what comes
    beyond them counts as ``(other)``."""
    tumbling_s: Count = 3_600
    """Length of the windows that follow each other."""
    hopping_s: Count = 3_600
    """Length of the windows that overlap; a multiple of ``hop_s``."""
    hop_s: Count = 900
    """From the begin of one such window to the next."""
    retention_s: Count = 86_400
    """How long a window is kept, and corrected by late results, once time has passed its end."""
    ahead_s: Count = 300
    """A recording begun more than this after its result, or either after its Kafka record, is left out and counted."""
    negative_labels: Names = ("angry", "disgusted", "fearful", "sad")
    """Labels that count as negative."""
    alert_share: Share = 0.5
    """A negative share from which a window of a key raises an alert."""
    alert_support: Count = 20
    """With fewer labelled results a window raises none."""
    alert_clear_share: Share = 0.4
    """An alert is cleared when the share of its window falls below this; at most ``alert_share``."""
    emit_s: Positive = 2
    """From a result to its trends at most, about; also how often a process tells the others what it has."""
    host: str = "127.0.0.1"
    """Where the query API and its page listen; 0.0.0.0 for every interface."""
    port: Port = 9474
    """0 takes a free one, which the log names."""
