import io

import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.errors import ExitCode
from streamproc.operate.forget import Forgotten, Wanted
from streamproc.settings import Settings

run = CliRunner()


@pytest.fixture
def erased(monkeypatch: pytest.MonkeyPatch) -> list[Wanted]:
    """What is erased, of a store that has three objects and two keys of everybody."""
    found: list[Wanted] = []

    def forget(_settings: Settings, wanted: Wanted, *, dry_run: bool) -> Forgotten:
        if not dry_run:
            found.append(wanted)
        return Forgotten(wanted.contents, wanted.tenant, 2, ("a", "b", "c"), {})

    monkeypatch.setattr("streamproc.operate.forget.forget", forget)
    return found


class Terminal(io.StringIO):
    """Somebody who can be asked."""

    def isatty(self) -> bool:
        return True


def test_all_of_a_tenant_is_not_erased_unasked(erased: list[Wanted]) -> None:
    done = run.invoke(app, ["forget", "--tenant", "acme"])
    assert (done.exit_code, erased) == (ExitCode.USAGE, [])
    assert "that is all of tenant acme: say --yes" in done.stderr


@pytest.mark.parametrize("words", [["--tenant", "acme", "--yes"], ["sha256:" + "a" * 64, "--tenant", "acme"]])
def test_a_yes_or_a_name_is_enough(erased: list[Wanted], words: list[str]) -> None:
    assert run.invoke(app, ["forget", *words]).exit_code == 0
    assert [wanted.tenant for wanted in erased] == ["acme"]


def test_a_look_needs_no_yes(erased: list[Wanted]) -> None:
    done = run.invoke(app, ["forget", "--tenant", "acme", "--dry-run"])
    assert (done.exit_code, erased) == (0, [])
    assert "3 objects, 2 keys of Redis would be erased" in done.stdout


@pytest.mark.parametrize(("answer", "code", "tenants"), [("y", 0, ["acme"]), ("", ExitCode.USAGE, [])])
def test_who_is_there_is_asked_with_the_numbers(
    erased: list[Wanted], monkeypatch: pytest.MonkeyPatch, answer: str, code: int, tenants: list[str]
) -> None:
    monkeypatch.setattr("streamproc.cli.forget.sys", type("sys", (), {"stdin": Terminal()}))
    done = run.invoke(app, ["forget", "--tenant", "acme"], input=f"{answer}\n")
    assert "Erase all of tenant acme, 3 objects and 2 keys of Redis? [y/N]" in done.stderr
    assert (done.exit_code, [wanted.tenant for wanted in erased]) == (code, tenants)
