from streamproc.errors import PoisonError, Reason, Stage
from streamproc.records.lane import MAX_MESSAGE_BYTES, Attempt, failure_headers

ATTEMPT = Attempt("t", 0, 1, 1, 1)


def message(text: str) -> bytes | None:
    return dict(failure_headers(ATTEMPT, PoisonError(Reason.DECODE_FAILED, Stage.PREPARE, text)))["sp-message"]


def test_a_message_is_text_that_a_database_takes() -> None:
    assert message("times\0tamp") == b"timestamp"
    assert message("half \ud800 a character") == b"half ? a character"


def test_a_long_message_is_cut_between_characters() -> None:
    assert message("x" + "ü" * MAX_MESSAGE_BYTES) == b"x" + "ü".encode() * (MAX_MESSAGE_BYTES // 2 - 1)
