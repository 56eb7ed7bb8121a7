"""What a load remembers of a weights file holds only for the very file that it checked."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from streamproc.emotion.checked import SETTLED_NS, Mark, recall, remember
from streamproc.emotion.layout import CHECKED

DIGEST = "a" * 64
LATER = 10 * SETTLED_NS


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.emotion.checked.SMALL", 10)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "model.pt"
    path.write_bytes(os.urandom(1000))
    return path


def test_an_untouched_file_is_recalled(weights: Path) -> None:
    mark = Mark.of(weights)
    assert recall(weights, mark) is None
    remember(weights, mark, DIGEST, mark.ctime_ns + LATER)
    assert recall(weights, Mark.of(weights)) == DIGEST


def flipped_in_place(path: Path) -> None:
    kept = path.stat()
    with path.open("r+b") as file:
        file.write(b"\0")
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))  # a copy that keeps times does this too


def replaced(path: Path) -> None:
    body, kept = path.read_bytes(), path.stat()
    path.unlink()
    path.with_name("spare").touch()  # takes the inode that became free
    path.write_bytes(body)
    os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))


def grown(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def linked_elsewhere(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(other)


@pytest.mark.parametrize("change", [flipped_in_place, replaced, grown, linked_elsewhere])
def test_a_file_that_was_touched_is_not(weights: Path, change: Callable[[Path], None]) -> None:
    mark = Mark.of(weights)
    remember(weights, mark, DIGEST, mark.ctime_ns + LATER)
    time.sleep(0.02)  # the kernel's clock of files ticks every few milliseconds; `remember` waits longer than that
    change(weights)
    assert recall(weights, Mark.of(weights)) is None


def test_a_file_that_was_just_written_is_not_remembered(weights: Path) -> None:
    """It could change once more within the same tick of the clock."""
    mark = Mark.of(weights)
    remember(weights, mark, DIGEST, mark.ctime_ns + SETTLED_NS - 1)
    assert recall(weights, mark) is None


def test_every_byte_of_what_is_remembered_counts(weights: Path) -> None:
    mark = Mark.of(weights)
    remember(weights, mark, DIGEST, mark.ctime_ns + LATER)
    path = weights.with_name(CHECKED)
    good = path.read_bytes()
    for place in range(len(good)):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        assert recall(weights, mark) is None


@pytest.mark.parametrize("body", [b"", b"{}", b"[" * 50_000, b"null", b'{"seal": 1}'])
def test_what_is_not_understood_is_not_believed(weights: Path, body: bytes) -> None:
    weights.with_name(CHECKED).write_bytes(body)
    assert recall(weights, Mark.of(weights)) is None


def test_small_files_are_not_worth_it(weights: Path) -> None:
    weights.write_bytes(b"x")
    mark = Mark.of(weights)
    remember(weights, mark, DIGEST, mark.ctime_ns + LATER)
    assert not weights.with_name(CHECKED).exists()


def test_a_folder_that_cannot_be_written_costs_only_time(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("streamproc.emotion.checked.write_sealed", refuse)
    mark = Mark.of(weights)
    remember(weights, mark, DIGEST, mark.ctime_ns + LATER)
    assert recall(weights, mark) is None
