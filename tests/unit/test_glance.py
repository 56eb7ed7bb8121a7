import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from streamproc.errors import UsageError
from streamproc.glance import Glance, glance
from streamproc.settings import LocalSettings, Settings, load_settings


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def seen_by_both(variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> tuple[Glance | None, Glance]:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    return glance(variables), Glance(settings.http.host, settings.http.port, settings.kafka.group)


def test_its_defaults_are_those_of_the_settings() -> None:
    settings = Settings()
    assert glance({}) == Glance() == (settings.http.host, settings.http.port, settings.kafka.group)


@pytest.mark.parametrize(
    "variables",
    [
        {"STREAMPROC_HTTP__HOST": "127.0.0.2", "STREAMPROC_HTTP__PORT": "0", "STREAMPROC_KAFKA__GROUP": "g"},
        {"streamproc_http__port": " 9465 "},
        {"STREAMPROC_CONFIG": "some.toml"},
        {"STREAMPROC_CONFIG": "some.toml", "STREAMPROC_HTTP__PORT": "7"},
    ],
)
def test_it_sees_what_the_settings_read(variables: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    Path("some.toml").write_text('[http]\nport = 9466\nhost = "::1"\n[kafka]\ngroup = "of the file"\n')
    seen, read = seen_by_both(variables, monkeypatch)
    assert seen == read != Glance()


@pytest.mark.parametrize(
    ("variables", "toml"),
    [
        pytest.param({"STREAMPROC_HTTP__PORT": "many"}, "", id="no number"),
        pytest.param({}, "[http]\nport = true", id="true is no number"),
        pytest.param({}, "[http]\nhost = 5", id="no text"),
        pytest.param({}, "[http\n", id="no TOML"),
        pytest.param({"STREAMPROC_CONFIG": "none.toml"}, "", id="no file"),
        pytest.param({"STREAMPROC_CONFIG": "pipe"}, "", id="a pipe, which nobody may ever write to"),
        pytest.param({"STREAMPROC_KAFKA__GROUP": "\udcff"}, "", id="bytes that are no text"),
    ],
)
def test_what_is_wrong_gives_no_glance_and_the_error_of_the_settings(
    variables: Mapping[str, str], toml: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("some.toml").write_text(toml)
    os.mkfifo("pipe")
    given = {"STREAMPROC_CONFIG": "some.toml", **variables}
    assert glance(given) is None
    with pytest.raises(UsageError):
        seen_by_both(given, monkeypatch)


@pytest.mark.parametrize(
    ("variables", "folder"),
    [({}, LocalSettings().state_dir), ({"STREAMPROC_LOCAL__STATE_DIR": ""}, Path())],
    ids=["by default", "set to nothing"],
)
def test_it_looks_for_the_file_of_local_servers_where_the_settings_do(
    variables: Mapping[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "local.env").write_text("STREAMPROC_HTTP__PORT=9470\n")
    seen, read = seen_by_both(variables, monkeypatch)
    assert (seen, read.port) == (None, 9470)


def test_the_file_of_local_servers_ends_a_glance_only_where_it_sets_one_of_them() -> None:
    folder = Path("elsewhere")
    folder.mkdir()
    variables = {"STREAMPROC_LOCAL__STATE_DIR": str(folder)}
    (folder / "local.env").write_text("STREAMPROC_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:1\n")
    assert glance(variables) == Glance()
    (folder / "local.env").write_text("streamproc_http__port=1\n")
    assert glance(variables) is None


def test_it_and_the_doorstep_bring_none_of_what_takes_long() -> None:
    program = "import sys, streamproc.doorstep; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    heavy = {"dataclasses", "dotenv", "http.server", "inspect", "logging", "pydantic", "structlog", "tomllib", "typer"}
    assert heavy & set(modules) == set()
