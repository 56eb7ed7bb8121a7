"""Each thing that the simulator compares, seen to be compared: a worker that gets it wrong is found."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from streamproc.errors import RecordError
from streamproc.records.embedding import embedding, of_channels
from streamproc.records.lane import Attempt, failure_headers
from streamproc.records.ledger import build_entry
from streamproc.records.outcome import Outcome
from streamproc.records.record import Headers, OutputRecord
from streamproc.records.result import build_result
from streamproc.records.segment import build_segments
from streamproc.records.stored import NewObject
from streamproc.testing.simulation.plan import Plan, make_plan
from streamproc.testing.simulation.recordings import Kind, announce
from streamproc.testing.simulation.simulation import play
from streamproc.worker.core.batch import Taken
from streamproc.worker.core.retry import Lane, RetryPolicy
from streamproc.worker.stages import assemble, commit, infer
from streamproc.worker.stages.commit import Share, Transact
from streamproc.worker.stages.objects import Objects


def plan(*kinds: Kind) -> Plan:
    return replace(
        make_plan(1),
        protocol="consumer",
        delivery="exactly_once",
        workers=1,
        partitions=1,
        micro_batch_records=8,
        tight=False,
        trust="content",
        archive=False,
        announced=tuple((0.0, announce(number, kind, 0, b"k", None)) for number, kind in enumerate(kinds)),
        gaps=(),
        faults=(),
        retention_at=None,
    )


EVERY = plan(*(kind for kind in Kind if kind is not Kind.HUGE))


def test_what_a_good_worker_writes_is_as_it_should_be() -> None:
    assert play(EVERY).violation is None
    assert play(plan(Kind.HUGE)).violation is None


WRONG_COLUMNS: dict[str, Any] = {
    "label": "neutral or so",
    "confidence": 0.1,
    "margin": 0.1,
    "score_sad": 0.1,
    "score_other": 0.0,
    "scores_json": "{}",
    "channels_json": "[]",
    "bucket": "elsewhere",
    "object_key": "another.wav",
    "content_sha256": "0" * 64,
    "duration_ms": 1,
    "speech_ms": 1,
    "sample_rate": 8000,
    "channel_count": 2,
    "codec": "wav",
    "segment_count": 7,
    "tier": "archive",
    "attempts": 2,
    "tenant": "somebody else",
    "call_id": None,
    "agent": "queue 0",
    "queue": "agent 0",
    "language": "xx",
    "attributes_json": '{"n\0": "0"}',
    "recorded_at": 0,
    "produced_at": 0,
    "processing_ms": -1,
    "embedding_uri": "s3://x/y",
    "timeline_uri": "s3://x/y",
    "input_topic": "another",
    "model": "another",
    "fingerprint": "0" * 32,
    "event_id": "e1",
    "result_id": "0",
    "status": "no_speech",
}


@pytest.mark.parametrize("column", WRONG_COLUMNS)
def test_a_wrong_column_of_a_result_is_found(column: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: Any) -> object:
        return build_result(*arguments)._replace(**{column: WRONG_COLUMNS[column]})

    monkeypatch.setattr(assemble, "build_result", wrong)
    assert play(plan(Kind.PLAIN)).violation is not None


WRONG_SEGMENTS: dict[str, Any] = {
    "segment_id": "0",
    "result_id": "0",
    "event_id": "e1",
    "index": 0,
    "channel": 0,
    "start_ms": 1,
    "end_ms": 1,
    "label": "neutral or so",
    "confidence": 0.1,
    "score_sad": 0.1,
    "score_other": 0.0,
    "level_dbfs": 0.0,
    "call_id": None,
    "recorded_at": 0,
}


@pytest.mark.parametrize("column", WRONG_SEGMENTS)
def test_a_wrong_column_of_a_segment_is_found(column: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: Any) -> list[object]:
        rows = list(build_segments(*arguments))
        return [*rows[:-1], replace(rows[-1], **{column: WRONG_SEGMENTS[column]})]

    monkeypatch.setattr(assemble, "build_segments", wrong)
    assert play(plan(Kind.LONG_SEGMENTS)).violation is not None


def other_numbers(stored: NewObject) -> NewObject:
    return replace(stored, body=stored.body[:-4] + b"\0\0\0\1")


def another_type(stored: NewObject) -> NewObject:
    return replace(stored, body=stored.body.replace(b"'<f4'", b"'<i4'"))


@pytest.mark.parametrize("wrong", [other_numbers, another_type])
def test_a_wrong_embedding_is_found(wrong: Callable[[NewObject], NewObject], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemble, "embedding", lambda *arguments: wrong(embedding(*arguments)))
    assert "the embedding of record 0" in str(play(plan(Kind.EMBEDDING)).violation)


def test_an_embedding_that_is_not_stored_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets(self: Objects, taken: Taken, _stored: object, outcome: Outcome) -> None:
        self.settle(taken, outcome)

    monkeypatch.setattr(Objects, "keep", forgets)
    assert "the embedding of record 0 is not in the store" in str(play(plan(Kind.EMBEDDING)).violation)


def test_an_embedding_of_one_segment_for_the_whole_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infer, "of_channels", lambda found, *rest: of_channels(found[:1], *rest))
    assert "the embedding of record 0" in str(play(plan(Kind.HOURS_EMBEDDING)).violation)


def test_segments_in_another_order_or_of_who_did_not_ask_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemble, "build_segments", lambda *arguments: list(build_segments(*arguments))[::-1])
    assert "stand as [2, 1, 0]" in str(play(plan(Kind.LONG_SEGMENTS)).violation)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (Kind.GARBAGE, "sp-origin-topic", b"another"),
        (Kind.GARBAGE, "sp-first-seen-ms", b"1"),
        (Kind.LATE, "sp-first-seen-ms", b"1"),
        (Kind.GARBAGE, "sp-stage", b"fetch"),
        (Kind.LATE, "sp-stage", b"admit"),
        (Kind.LATE, "sp-reason", b"hash_mismatch"),
        (Kind.LATE, "sp-class", b"poison"),
        (Kind.GARBAGE, "sp-class", b"transient"),
        (Kind.GARBAGE, "sp-message", b""),
        (Kind.GARBAGE, "sp-message", b"\xff"),
        (Kind.GARBAGE, "sp-version", b"2"),
        (Kind.HUGE, "sp-version", b"2"),
    ],
)
def test_a_wrong_header_is_found(kind: Kind, name: str, value: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(attempt: Attempt, error: RecordError) -> Headers:
        return tuple((key, value if key == name else held) for key, held in failure_headers(attempt, error))

    monkeypatch.setattr(assemble, "failure_headers", wrong)
    violation = play(plan(kind)).violation
    assert violation is not None
    assert "sp-" in violation or "at " in violation or "message" in violation


def test_headers_before_the_originals_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemble, "original_headers", lambda *_: ())
    assert "has not its original's headers in front" in str(play(plan(Kind.GARBAGE)).violation)


def test_a_record_in_the_wrong_lane_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    good = RetryPolicy.lane

    def wrong(self: RetryPolicy, attempts: int) -> Lane | None:
        lane = good(self, attempts)
        return lane and self.lanes[1]

    monkeypatch.setattr(RetryPolicy, "lane", wrong)
    assert "it belongs to" in str(play(plan(Kind.FLAKY)).violation)


def test_a_record_that_is_given_up_a_try_too_early_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    good = RetryPolicy.lane
    monkeypatch.setattr(RetryPolicy, "lane", lambda self, attempts: good(self, attempts + (attempts == 6)))
    assert "was given up after 6 tries, not after 7" in str(play(plan(Kind.BROKEN)).violation)


def test_a_ledger_of_another_slot_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "build_entry", lambda own, *rest: build_entry(replace(own, slot="7"), *rest))
    assert "the ledger's row of" in str(play(plan(Kind.PLAIN)).violation)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"micro_batch": None}, "name the micro-batches"), ({"records": 7}, "micro_batch_records")],
)
def test_a_ledger_that_misses_its_micro_batch_is_found(
    change: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "build_entry", lambda own, *rest: build_entry(replace(own, **change), *rest))
    assert says in str(play(plan(Kind.PLAIN)).violation)


@pytest.mark.parametrize("kind", [Kind.PLAIN, Kind.SEGMENTS, Kind.GARBAGE, Kind.FLAKY])
def test_what_stands_in_another_order_is_found(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    good: Callable[[Transact, int, Sequence[Share]], list[OutputRecord]] = Transact._outputs

    def reversed_(self: Transact, micro_batch: int, shares: Sequence[Share]) -> list[OutputRecord]:
        outputs = good(self, micro_batch, shares)
        turned = [output for output in outputs if output.topic != self.ledger_topic][::-1]
        return [*turned, *outputs[len(turned) :]]

    monkeypatch.setattr(Transact, "_outputs", reversed_)
    violation = str(play(plan(kind, kind)).violation)
    assert "another order" in violation
