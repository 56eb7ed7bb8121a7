import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.cli.speak import program, with_program
from streamproc.errors import UsageError

ROOT = Path(__file__).parents[3]
run = CliRunner()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with an environment that is not on PATH."""
    path = tmp_path / ".venv" / "bin"
    path.mkdir(parents=True)
    for name in ("streamproc", "python"):
        (path / name).touch(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin")
    return path


@pytest.mark.parametrize("started", [".venv/bin/streamproc", "{}/.venv/bin/streamproc"])
def test_hints_name_the_program_below_the_working_folder(
    started: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [started.format(folder.parents[1])])
    assert with_program("see `streamproc up`, `streamproc status`") == (
        "see `.venv/bin/streamproc up`, `.venv/bin/streamproc status`"
    )


def test_a_program_elsewhere_is_named_by_its_whole_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setattr(sys, "argv", [str(folder / "streamproc")])
    monkeypatch.chdir("/usr")
    assert program() == str(folder / "streamproc")


def test_one_on_the_path_is_named_as_it_is(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr(sys, "argv", [str(folder / "streamproc")])
    assert program() == "streamproc"


def test_another_one_on_the_path_is_not_mistaken_for_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "streamproc").touch(0o755)
    monkeypatch.setenv("PATH", str(other))
    monkeypatch.setattr(sys, "argv", [str(folder / "streamproc")])
    assert program() == ".venv/bin/streamproc"


def test_the_module_is_named_with_its_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/elsewhere/streamproc/__main__.py"])
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    assert program() == ".venv/bin/python -m streamproc"


@pytest.mark.usefixtures("folder")
def test_the_hint_of_an_error_can_be_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise UsageError("there is no topic: `streamproc up` makes it")

    monkeypatch.setattr("streamproc.local.stack.status", fail)
    monkeypatch.setattr(sys, "argv", [".venv/bin/streamproc"])
    assert "`.venv/bin/streamproc up` makes it" in run.invoke(app, ["status"]).stderr


def test_a_variable_that_is_ignored_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_HOME", "canary")
    for _ in range(2):
        done = run.invoke(app, ["status"])
        assert done.exit_code == 0
        assert done.stderr == "warning: ignored: STREAMPROC_HOME. Settings are STREAMPROC_<SECTION>__<NAME>\n"


def test_a_worker_on_a_terminal_is_refused_in_words_for_people() -> None:
    ours, theirs = pty.openpty()
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "STREAMPROC_KAFKA__DELIVERY": "perhaps",
        "STREAMPROC_HOME": "",
    }
    command = [sys.executable, "-m", "streamproc", "worker"]
    done = subprocess.run(command, env=environment, stderr=theirs, timeout=60, check=False)
    os.close(theirs)
    with os.fdopen(ours, "rb") as terminal:
        said = terminal.read1(4096).decode()
    assert done.returncode == 2
    assert "ignored: STREAMPROC_HOME" in said
    assert "the settings are impossible:" in said
    assert "kafka.delivery='perhaps' (STREAMPROC_KAFKA__DELIVERY): has to be exactly_once or at_least_once" in said
    assert '{"' not in said
