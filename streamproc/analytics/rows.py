"""Trends and alerts as records."""

from dataclasses import dataclass

from streamproc.kafka.own_schemas import look_up_trends
from streamproc.kafka.registry import connect
from streamproc.records.alert import EmotionAlert
from streamproc.records.avro import encode, frame
from streamproc.records.record import OutputRecord
from streamproc.records.trend import EmotionTrend
from streamproc.settings import Settings


@dataclass(frozen=True, slots=True)
class RowCodec:
    """Rows to records, by the ids that the registry gave their schemas; keyed by what readers upsert by."""

    trends: str
    alerts: str
    trend_schema_id: int
    alert_schema_id: int

    def record(self, row: EmotionTrend | EmotionAlert) -> OutputRecord:
        """The record of a row."""
        if isinstance(row, EmotionTrend):
            return OutputRecord(self.trends, row.trend_id.encode(), frame(self.trend_schema_id, encode(row)))
        return OutputRecord(self.alerts, row.alert_id.encode(), frame(self.alert_schema_id, encode(row)))


def look_up_codec(settings: Settings) -> RowCodec:
    """Ask the registry. Raises UsageError for schemas that are not registered, DependencyDownError."""
    with connect(settings.registry) as registry:
        trend, alert = look_up_trends(registry, settings.topics)
    return RowCodec(settings.topics.trends, settings.topics.alerts, trend, alert)
