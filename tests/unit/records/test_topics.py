from datetime import timedelta

from streamproc.records.avro import MAX_ROW_BYTES
from streamproc.records.ledger import LedgerEntry
from streamproc.records.recording import RecordingEvent
from streamproc.records.topics import MAX_INPUT_BYTES, Compatibility, compatibility, row_types, subject, topic_specs
from streamproc.settings import TopicSettings

TOPICS = TopicSettings()
SPECS = {spec.name: spec for spec in topic_specs(TOPICS)}


def test_what_carries_an_input_record_has_room_for_our_headers() -> None:
    for name in (*TOPICS.lanes, TOPICS.dead_letters):
        assert SPECS[name].max_message_bytes == SPECS[TOPICS.recordings].max_message_bytes + 64 * 1024


def test_the_ledger_outlives_the_input() -> None:
    assert SPECS[TOPICS.ledger].retention >= SPECS[TOPICS.recordings].retention
    assert SPECS[TOPICS.recordings].retention == timedelta(days=7)


def test_the_largest_row_fits_its_topic_with_key_and_framing() -> None:
    assert MAX_ROW_BYTES + 10_000 < MAX_INPUT_BYTES


def test_a_retention_is_written_in_milliseconds() -> None:
    assert SPECS[TOPICS.results].config["retention.ms"] == "2592000000"


def test_every_avro_topic_has_a_subject_and_a_rule() -> None:
    assert row_types(TOPICS)[TOPICS.recordings] is RecordingEvent
    assert subject("a.b") == "a.b-value"
    assert compatibility(RecordingEvent) is Compatibility.INPUT
    assert compatibility(LedgerEntry) is Compatibility.OUTPUT
