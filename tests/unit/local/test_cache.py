"""The cache makes each thing once, completely or not at all."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streamproc.cache_root import cache_root
from streamproc.local.cache import Cache, locked
from streamproc.local.failure import StoppedError


def nobody() -> None:
    """Told of a wait."""


def test_the_setting_wins_over_the_variable_over_the_home_folder(tmp_path: Path) -> None:
    assert cache_root(tmp_path, {"STREAMPROC_CACHE": "/elsewhere"}) == tmp_path
    assert cache_root(None, {"STREAMPROC_CACHE": "/elsewhere"}) == Path("/elsewhere")
    assert cache_root(None, {}) == Path.home() / ".cache" / "streamproc"


def test_several_who_want_it_at_once_make_it_once(tmp_path: Path) -> None:
    made: list[Path] = []
    waits: list[int] = []

    def make(folder: Path, _scratch: Path) -> None:
        made.append(folder)
        (folder / "file").write_text("whole")
        threading.Event().wait(0.3)

    def get(_number: int) -> str:
        folder = Cache(tmp_path).once("thing", make, threading.Event(), lambda: waits.append(1))
        return (folder / "file").read_text()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(get, range(4))) == ["whole"] * 4
    assert len(made) == 1
    assert len(waits) == 3


def test_a_failure_leaves_nothing_and_the_next_try_succeeds(tmp_path: Path) -> None:
    def fail(folder: Path, scratch: Path) -> None:
        (folder / "half").write_text("half")
        (scratch / "waste").write_text("waste")
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  # its own
        Cache(tmp_path).once("thing", fail, threading.Event(), nobody)
    assert [path.name for path in tmp_path.iterdir()] == ["thing.lock"]
    folder = Cache(tmp_path).once("thing", lambda folder, _: (folder / "file").touch(), threading.Event(), nobody)
    assert [path.name for path in folder.iterdir()] == ["file"]


def test_who_waits_can_be_stopped(tmp_path: Path) -> None:
    stop = threading.Event()
    with (
        locked(tmp_path / "lock", threading.Event(), nobody),
        pytest.raises(StoppedError),
        locked(tmp_path / "lock", stop, stop.set),
    ):
        pytest.fail("two hold the lock")
