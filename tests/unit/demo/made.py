"""Rows as a worker would write them, for one announcement each."""

from streamproc.demo.plan import Announcement
from streamproc.demo.tally import Sent
from streamproc.operate.dead_letter import DeadLetter
from streamproc.records.identity import result_id
from streamproc.records.ledger import LedgerEntry
from streamproc.records.result import SCORE_COLUMNS, EmotionResult

TOPIC = "demo.recordings"


def result(sent: Sent, **changes: object) -> EmotionResult:
    one = sent.announcement
    fields: dict[str, object] = dict.fromkeys(EmotionResult._fields) | {
        "result_id": result_id(one.event_id, "f"),
        "event_id": one.event_id,
        "fingerprint": "f",
        "model": "demo",
        "status": one.how,
        "label": one.label,
        "confidence": 0.9,
        "margin": 0.8,
        **{f"score_{label}": 0.0 for label in SCORE_COLUMNS},
        "bucket": "recordings",
        "object_key": one.object_key,
        "content_sha256": one.sha256 or "",
        "duration_ms": 1500,
        "speech_ms": 1500,
        "sample_rate": 8000,
        "channel_count": 1,
        "codec": "pcm",
        "segment_count": 1,
        "tier": "computed",
        "attempts": 1,
        "recorded_at": 0,
        "produced_at": 1_700_000_000_000,
        "processing_ms": 12,
        "input_topic": TOPIC,
        "input_partition": sent.partition,
        "input_offset": sent.offset,
    }
    return EmotionResult(**{**fields, **changes})  # type: ignore[arg-type]  # the columns are named as they are


def dead_letter(sent: Sent, reason: str | None = None, attempts: int = 1) -> DeadLetter:
    return DeadLetter(
        topic=TOPIC,
        partition=sent.partition,
        offset=sent.offset,
        reason=reason or sent.announcement.how,
        stage="fetch",
        message="because",
        attempts=attempts,
        first_seen_ms=0,
        at_ms=1_700_000_000_000,
        key=sent.announcement.key,
        size=10,
        event_id=sent.announcement.event_id,
        object_key=sent.announcement.object_key,
    )


def ledger(first: int, last: int, partition: int = 0, topic: str = TOPIC) -> LedgerEntry:
    return LedgerEntry("0", topic, partition, first, last, last - first + 1, 0, 0, "digest", 0)


def sent(plan: list[Announcement]) -> list[Sent]:
    return [Sent(one, 0, offset) for offset, one in enumerate(plan)]
