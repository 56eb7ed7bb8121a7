import pytest

from streamproc.errors import Cause, DependencyDownError, PoisonError, Reason, Stage, StoreError
from streamproc.kafka.messages import UNREADABLE_HEADERS
from streamproc.operate.dead_letter import read_dead_letter
from streamproc.operate.dlq.letter import Letter, put_back, replay_of, replays_of
from streamproc.operate.dlq.original import LeftError, OriginalRecords
from streamproc.records.dead_letter import URI_HEADER
from streamproc.records.lane import Attempt, failure_headers
from streamproc.records.record import Headers, Record
from streamproc.records.stored import StoredObject


class Store:
    """One object, or an answer that is none."""

    def __init__(self, answer: bytes | StoreError) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    def get(self, bucket: str, key: str, version_id: str | None, most: int) -> StoredObject:
        assert version_id is None
        assert most > 0
        self.asked.append((bucket, key))
        if isinstance(self.answer, StoreError):
            raise self.answer
        return StoredObject(self.answer, None, None)


OF = ("sp-replay-of", b"in.dlq/0/9")


def letter(headers: Headers = (), uri: str | None = None, topic: str = "in", value: bytes | None = b"v") -> Letter:
    ours = failure_headers(Attempt(topic, 5, 42, 1, 7), PoisonError(Reason.OBJECT_MISSING, Stage.FETCH, "no"))
    pointer = () if uri is None else ((URI_HEADER, uri.encode()),)
    record = Record("in.dlq", 0, 9, 99, b"k", value, (*headers, *ours, *pointer))
    told = read_dead_letter(record, None)
    assert told is not None
    return Letter(record, told, None)


def originals(answer: bytes | StoreError = b"", partitions: int = 12) -> OriginalRecords:
    return OriginalRecords("in", partitions, "recordings", Store(answer))


def test_headers_that_look_like_ours_are_the_originals_own() -> None:
    own = (("sp-origin-topic", b"forged"), ("sp-reason", b"forged"), ("h", None))
    assert letter(own).headers == own
    assert originals().record(letter(own)).headers == (*own, ("sp-replays", b"1"), OF)


@pytest.mark.parametrize(
    ("count", "read"), [(b"2", 2), (b"-1", 0), (b"x", 0), (None, 0), (b"9" * 30, 0), ("٣".encode(), 0)]
)
def test_a_count_is_read_as_digits_or_not_at_all(count: bytes | None, read: int) -> None:
    assert replays_of((("sp-replays", count),)) == read
    before = (("sp-replays", count), ("sp-replay-of", b"in.dlq/0/3"), ("h", b""))
    after = put_back(before, letter().place)
    assert after == (("h", b""), ("sp-replays", b"%d" % (read + 1)), OF)
    assert (replay_of(before), replay_of(after), replay_of(())) == ("in.dlq/0/3", "in.dlq/0/9", None)


def test_it_goes_to_the_partition_that_it_came_from_while_there_is_one() -> None:
    assert originals(partitions=6).record(letter()).partition == 5
    assert originals(partitions=5).record(letter()).partition is None


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (letter(topic="elsewhere"), "it began on elsewhere"),
        (letter(headers=((UNREADABLE_HEADERS, b"x"),)), "announce it again"),
        (letter(value=b"x" * 1_200_000), "too large"),
        (letter(uri="s3://other/dead-letters/x"), "is not at s3://recordings/dead-letters/"),
        (letter(uri="s3://recordings/calls/x"), "is not at s3://recordings/dead-letters/"),
        (letter(uri="file:///etc/passwd"), "is not at s3://recordings/dead-letters/"),
    ],
)
def test_what_would_not_be_the_original_is_left(one: Letter, why: str) -> None:
    with pytest.raises(LeftError, match=why):
        originals(b"{}").record(one)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"key": 1, "value": null, "headers": []}', b'{"headers": [[]]}'])
def test_what_is_stored_and_no_record_is_left(body: bytes) -> None:
    with pytest.raises(LeftError, match="is no record"):
        originals(body).record(letter(uri="s3://recordings/dead-letters/x"))


def test_an_object_that_is_gone_is_left_and_a_store_that_is_away_ends_the_replay() -> None:
    one = letter(uri="s3://recordings/dead-letters/x")
    with pytest.raises(LeftError, match="cannot be fetched"):
        originals(StoreError(Cause.MISSING, "no")).record(one)
    with pytest.raises(DependencyDownError):
        originals(StoreError(Cause.CONNECTION, "no")).record(one)
