import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app


@pytest.mark.parametrize("words", [["warehouse", "ask"], ["demo", "--warehouse"]])
def test_without_the_client_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setattr("importlib.util.find_spec", {"psycopg": None}.__getitem__)
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "pip install 'streamproc[warehouse]'" in done.output


def test_a_warehouse_that_is_away_is_exit_code_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_WAREHOUSE__ADDRESS", "127.0.0.1:1")
    done = CliRunner().invoke(app, ["warehouse", "ask", "dead"])
    assert done.exit_code == 3
    assert "warehouse.address" in done.output


def test_a_question_that_nobody_has_is_exit_code_2() -> None:
    done = CliRunner().invoke(app, ["warehouse", "ask", "happy"])
    assert done.exit_code == 2
    assert "angry, turned, coverage, slowest, dead" in done.output


@pytest.mark.parametrize(
    "words", [["connect", "apply"], ["connect", "status"], ["connect", "reread", "emotion-results"]]
)
def test_a_connect_that_is_away_is_exit_code_3(monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setenv("STREAMPROC_CONNECT__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("STREAMPROC_REGISTRY__URL", "http://127.0.0.1:1/apis/ccompat/v7")
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 3
    assert "connect.url" in done.output
