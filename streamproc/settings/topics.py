"""What is set below ``topics``."""

from streamproc.kinds import Count, Topic
from streamproc.settings.section import Section


class TopicSettings(Section):
    """Names and partition counts of the topics."""

    recordings: Topic = "audio.recordings"
    """The input; the lanes, the dead letters and what tells of replays are named after it."""
    results: Topic = "emotion.results"
    segments: Topic = "emotion.segments"
    ledger: Topic = "streamproc.ledger"
    trends: Topic = "emotion.trends"
    alerts: Topic = "emotion.alerts"
    partials: Topic = "streamproc.partials"
    """What the members of the analytics app tell each other; nobody else's business."""
    connect_dead_letters: Topic = "streamproc.connect.dead"
    """Where connectors of the warehouse put records that they cannot read."""
    partitions: Count = 12
    """Of input, results, segments and ledger, where ``up`` makes them."""
    lane_partitions: Count = 3
    """Of each lane and of the dead letters."""
    replication_factor: Count = 1
    """Of the topics that ``up`` makes; 3 on a cluster."""

    @property
    def lanes(self) -> tuple[str, str]:
        """The retry topics, shortest delay first."""
        return f"{self.recordings}.retry.10s", f"{self.recordings}.retry.5m"

    @property
    def dead_letters(self) -> str:
        """The dead-letter topic."""
        return f"{self.recordings}.dlq"

    @property
    def of_records(self) -> tuple[str, ...]:
        """Where a place belongs to one record's life."""
        return self.recordings, *self.lanes, self.dead_letters, self.results

    @property
    def replays(self) -> str:
        """What tells which dead letters were put back."""
        return f"{self.recordings}.replays"
