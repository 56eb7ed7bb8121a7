"""What stays in the state folder: whole, private, and readable as settings."""

from pathlib import Path

import pytest

from streamproc.local.process import ProcessId
from streamproc.local.state import Running, State, write_private
from streamproc.settings import LocalSettings, Settings, load_settings

EXPORTS = {
    "kafka": {"bootstrap_servers": "127.0.0.1:20001"},
    "storage": {"endpoint": "http://127.0.0.1:20002", "access_key": "ak", "secret_key": "sk"},
}


def test_the_written_environment_is_read_as_settings(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.write_environment(EXPORTS)
    settings = load_settings(local=LocalSettings(state_dir=tmp_path))
    assert settings.kafka.bootstrap_servers == "127.0.0.1:20001"
    assert settings.storage.secret_key.get_secret_value() == "sk"
    assert settings.registry == Settings().registry


def test_the_environment_is_for_its_owner_only(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.write_environment(EXPORTS)
    assert state.environment.stat().st_mode & 0o777 == 0o600


def test_no_addresses_leave_no_environment(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.write_environment(EXPORTS)
    state.write_environment({})
    assert not state.environment.exists()


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_private(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    state = State(tmp_path)
    running = Running("1.2", {"main": 20001}, 1.5, ProcessId(4, 5, "boot"))
    assert state.running("kafka") is None
    state.keep_running("kafka", running)
    assert state.running("kafka") == running
    state.forget_running("kafka")
    assert state.running("kafka") is None


def test_the_log_of_the_run_before_is_kept(tmp_path: Path) -> None:
    state = State(tmp_path)
    state.log("kafka").write_text("first run")
    assert not state.turn_log("kafka").exists()
    assert state.log("kafka").with_suffix(".old").read_text() == "first run"


def test_wiping_removes_what_belongs_to_servers_only(tmp_path: Path) -> None:
    state = State(tmp_path)
    (tmp_path / "something-else").write_text("stays")
    state.keep_ports("kafka", {"main": 1})
    state.wipe()
    state.wipe()
    assert [path.name for path in tmp_path.iterdir()] == ["something-else"]
