from streamproc.errors import PoisonError, Reason, Stage
from streamproc.operate.dead_letter import ADVICE, read_dead_letter
from streamproc.records.lane import Attempt, failure_headers
from streamproc.records.record import Record
from streamproc.records.recording import RecordingEvent


def dead(headers: tuple[tuple[str, bytes | None], ...], value: bytes | None = b"abc") -> Record:
    return Record("audio.recordings.dlq", 0, 5, 99, b"\xffkey", value, headers)


def written(reason: Reason) -> tuple[tuple[str, bytes | None], ...]:
    """What the worker writes."""
    attempt = Attempt("audio.recordings", 3, 42, 2, 7)
    return failure_headers(attempt, PoisonError(reason, Stage.FETCH, "gone é"))


def test_what_the_worker_wrote_is_read_back() -> None:
    letter = read_dead_letter(dead(written(Reason.OBJECT_MISSING)), None)
    assert letter is not None
    assert (letter.topic, letter.partition, letter.offset) == ("audio.recordings", 3, 42)
    assert (letter.reason, letter.stage, letter.message) == ("object_missing", "fetch", "gone é")
    assert (letter.event_id, letter.object_key) == (None, None)
    assert (letter.attempts, letter.first_seen_ms, letter.at_ms, letter.size) == (2, 7, 99, 3)
    assert letter.key == "\\xffkey"
    assert letter.advice == ADVICE[Reason.OBJECT_MISSING]


def test_the_original_tells_its_file() -> None:
    event = RecordingEvent("e", 0, "b", "sha256/abc.wav", attributes={"file_name": "call.wav", "x": "y"})
    letter = read_dead_letter(dead(written(Reason.OBJECT_MISSING)), event)
    assert letter is not None
    assert (letter.object_key, letter.file_name) == ("sha256/abc.wav", "call.wav")


def test_every_reason_has_its_advice() -> None:
    assert set(ADVICE) == set(Reason)


def test_a_tombstone_keeps_being_one() -> None:
    letter = read_dead_letter(dead(written(Reason.EVENT_INVALID), value=None), None)
    assert letter is not None
    assert letter.size is None


def test_a_reason_of_a_later_version_is_shown_as_it_is() -> None:
    headers = tuple(
        (name, b"new_reason" if name == "sp-reason" else value) for name, value in written(Reason.KEY_INVALID)
    )
    letter = read_dead_letter(dead(headers), None)
    assert letter is not None
    assert letter.reason == "new_reason"
    assert "version" in letter.advice


def test_a_record_of_somebody_else_is_none_of_ours() -> None:
    assert read_dead_letter(dead(()), None) is None
    assert read_dead_letter(dead((("sp-origin-partition", b"x"), *written(Reason.KEY_INVALID)[:1])), None) is None
    assert read_dead_letter(dead((*written(Reason.KEY_INVALID), ("sp-message", b"\xff"))), None) is None


def test_the_event_that_it_began_as_is_named() -> None:
    letter = read_dead_letter(dead(written(Reason.OBJECT_MISSING)), RecordingEvent("e-1", 0, "recordings", "a/b.wav"))
    assert letter is not None
    assert (letter.event_id, letter.object_key) == ("e-1", "a/b.wav")
