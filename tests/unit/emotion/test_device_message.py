"""Messages of a device process, as long as they can be, through a real socket."""

import socket

import pytest

from streamproc.analyzer import MOST_LABELS, MOST_WORDS
from streamproc.emotion.device_message import MAX_BYTES, MAX_ITEMS, Embedded, decode_answer, encode_answer
from streamproc.records.compute import BatchDone, ItemError, Scored
from streamproc.records.embedding import MOST_DIM


def passed_on(answer: BatchDone) -> BatchDone:
    """As it comes out at the other end."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.setblocking(False)
        ours.send(encode_answer(answer))
        found = decode_answer(theirs.recv(MAX_BYTES))
    assert isinstance(found, BatchDone)
    return found


@pytest.mark.parametrize("character", ["a", '"', "\x01", "\u1234", "\U0001f600", "\ud800"])
def test_what_an_analyzer_says_of_an_item_is_cut_to_what_a_socket_takes(character: str) -> None:
    found = passed_on(BatchDone(7, (ItemError(character * 5_000),) * MAX_ITEMS, 0.5, 8))
    told = ("?" if character == "\ud800" else character) * MOST_WORDS
    assert found == BatchDone(7, (ItemError(told),) * MAX_ITEMS, 0.5, 8)


def test_the_longest_scores_of_the_most_labels_fit() -> None:
    longest = 1.2345678901234567e-100
    answer = BatchDone(1, (Scored((longest,) * MOST_LABELS),) * MAX_ITEMS, 0.1)
    assert passed_on(answer) == answer


def test_the_longest_embedding_fits_and_a_longer_one_is_refused() -> None:
    longest = Embedded(1, 127, bytes(4 * MOST_DIM))
    message = encode_answer(longest)
    assert len(message) < MAX_BYTES
    assert decode_answer(message) == longest
    for more in (1, 4):
        with pytest.raises(ValueError, match="no answer of a device process"):
            decode_answer(encode_answer(Embedded(1, 127, bytes(4 * (MOST_DIM + more)))))
