"""The tool that breaks the program on purpose: what it must not take for a death, and what it must not overlook."""

import ast
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tools.mutants import __main__ as tool
from tools.mutants import killers
from tools.mutants.catalogue import MUTANTS
from tools.mutants.mutant import Killer, Mutant, NamedTests, Simulator, StaleMutantError, find
from tools.mutants.tree import ROOT
from tools.mutants.verdict import Fate, Verdict

TESTS = NamedTests(("tests/test_it.py",))
MUTANT = Mutant("m", "a mistake", "it.py", "return 1", "return 2", TESTS)


def tree_of(folder: Path, test: str, source: str = "def it():\n    return 1\n") -> Path:
    (folder / "tests").mkdir(parents=True)
    (folder / "it.py").write_text(source)
    (folder / "tests" / "test_it.py").write_text(f"import pytest\nfrom it import it\n\ndef test_it():\n    {test}\n")
    return folder


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_can_be_made_and_is_python_and_not_the_same_program(mutant: Mutant) -> None:
    mutant.check(ROOT)
    text = (ROOT / mutant.file).read_text()
    broken = text.replace(mutant.old, mutant.new)
    assert ast.dump(ast.parse(broken)) != ast.dump(ast.parse(text))


def test_no_two_mutants_share_a_name_or_a_change() -> None:
    assert max(Counter(mutant.name for mutant in MUTANTS).values()) == 1
    assert max(Counter((mutant.file, mutant.old, mutant.new) for mutant in MUTANTS).values()) == 1


@pytest.mark.parametrize("source", ["def it():\n    return 3\n", "def it():\n    return 1\n    return 1\n"])
def test_old_text_that_is_not_there_exactly_once_is_stale(tmp_path: Path, source: str) -> None:
    folder = tree_of(tmp_path, "assert it()", source)
    with pytest.raises(StaleMutantError, match=r"m: its old text stands in it\.py"):
        MUTANT.apply(folder)
    assert (folder / "it.py").read_text() == source


def test_a_file_that_is_gone_is_stale(tmp_path: Path) -> None:
    with pytest.raises(StaleMutantError):
        replace(MUTANT, file="gone.py").check(tmp_path)


def test_a_test_that_fails_kills_and_one_that_passes_does_not(tmp_path: Path) -> None:
    folder = tree_of(tmp_path, "assert it() == 1")
    assert killers.run(TESTS, folder, 1).fate is Fate.ALIVE
    MUTANT.apply(folder)
    verdict = killers.run(TESTS, folder, 1)
    assert (verdict.fate, verdict.by) == (Fate.DEAD, "it: test_it")


@pytest.mark.parametrize(
    "new",
    [
        pytest.param("return two", id="a name that is not there"),
        pytest.param("pass\nimport nothing_of_this_name", id="the module cannot be imported"),
    ],
)
def test_a_program_that_is_none_any_more_is_not_a_death(tmp_path: Path, new: str) -> None:
    folder = tree_of(tmp_path, "assert it() == 1")
    replace(MUTANT, new=new).apply(folder)
    assert killers.run(TESTS, folder, 1).fate is Fate.BROKEN


@pytest.mark.parametrize(
    ("test", "path"),
    [
        pytest.param("pytest.skip('servers are missing')", "tests/test_it.py", id="skipped"),
        pytest.param("assert it()", "tests/test_it.py::test_of_another_name", id="not there"),
    ],
)
def test_tests_that_did_not_run_say_nothing(tmp_path: Path, test: str, path: str) -> None:
    assert killers.run(NamedTests((path,)), tree_of(tmp_path, test), 1).fate is Fate.BROKEN


def simulator(folder: Path, body: str) -> Path:
    package = folder / "streamproc" / "testing" / "simulation"
    package.mkdir(parents=True)
    for part in (package, *list(package.parents)[:2]):
        (part / "__init__.py").touch()
    (package / "__main__.py").write_text(body)
    return folder


@pytest.mark.parametrize(
    ("body", "fate"),
    [
        pytest.param(
            'import json, sys\nprint(json.dumps({"seeds": 3, "failures": [{"seed": 2, "violation": "G4"}]}))\n'
            "sys.exit(1)",
            Fate.DEAD,
            id="a seed fails",
        ),
        pytest.param(
            'import json\nprint(json.dumps({"seeds": 9, "failures": []}))', Fate.ALIVE, id="every guarantee holds"
        ),
        pytest.param('import json\nprint(json.dumps({"seeds": 3, "failures": []}))', Fate.BROKEN, id="it stops early"),
        pytest.param("raise KeyError", Fate.BROKEN, id="the simulator itself fails, with the same exit code"),
        pytest.param("import sys\nsys.exit(2)", Fate.BROKEN, id="it was asked for something else"),
        pytest.param("this is no Python", Fate.BROKEN, id="it is no program"),
        pytest.param(
            'import json, sys\nprint(json.dumps({"seeds": 3, "failures": [{"seed": 2, "violation":'
            ' "G1: worker 0.0 crashed: NameError(1)"}]}))\nsys.exit(1)',
            Fate.BROKEN,
            id="the worker is no program",
        ),
        pytest.param(
            'import json, sys\nprint(json.dumps({"seeds": 3, "failures": [{"seed": 2, "violation":'
            ' "the simulator itself: KeyError(1) in visit (world.py:9)"}]}))\nsys.exit(1)',
            Fate.BROKEN,
            id="the simulator itself fails in a seed",
        ),
    ],
)
def test_a_failing_seed_is_told_from_a_simulator_that_fails(tmp_path: Path, body: str, fate: Fate) -> None:
    assert killers.run(Simulator(9), simulator(tmp_path, body), 1).fate is fate


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of one file and one mutant of it; whoever looks at it sees what it returns."""
    folder = tmp_path / "root"
    (folder / "streamproc").mkdir(parents=True)
    (folder / "streamproc" / "it.py").write_text("def it():\n    return 1\n")
    monkeypatch.setattr(tool, "ROOT", folder)
    monkeypatch.setattr(tool, "MUTANTS", (replace(MUTANT, file="streamproc/it.py"),))
    return folder


def let_die(monkeypatch: pytest.MonkeyPatch, *returns: int) -> None:
    def run(_killer: Killer, folder: Path, processes: int) -> Verdict:
        assert processes
        text = (folder / "streamproc" / "it.py").read_text()
        return Verdict(Fate.DEAD if any(f"return {value}" in text for value in returns) else Fate.ALIVE)

    monkeypatch.setattr(killers, "run", run)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        pytest.param((2,), 0, id="the mutant dies"),
        pytest.param((), 1, id="it survives"),
        pytest.param((1, 2), 2, id="the program as it is dies too"),
    ],
)
def test_the_command_exits_with_what_became_of_the_mutants_and_leaves_the_program_alone(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: tuple[int, ...], code: int
) -> None:
    let_die(monkeypatch, *found)
    page = tmp_path / "docs" / "mutants.md"
    done = CliRunner().invoke(tool.app, ["--report", str(page), "--json"])
    assert done.exit_code == code
    assert "return 1" in (root / "streamproc" / "it.py").read_text()
    assert page.exists() == (code != 2)
    if page.exists():
        (row,) = json.loads(done.stdout)
        assert (row["name"], row["fate"]) == ("m", "dead" if code == 0 else "alive")
        assert f"**{1 - code} of 1 mutants died.**" in page.read_text()


def test_a_stale_mutant_stops_everything(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_die(monkeypatch, 2)
    (root / "streamproc" / "it.py").write_text("def it():\n    return 7\n")
    assert CliRunner().invoke(tool.app, []).exit_code == 2


def test_a_mutant_that_is_no_python_is_not_a_death(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_die(monkeypatch, 2)
    monkeypatch.setattr(tool, "MUTANTS", (replace(MUTANT, file="streamproc/it.py", new="return ("),))
    done = CliRunner().invoke(tool.app, ["--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout)[0]["fate"] == "broken"
    assert root.is_dir()


def test_mutants_are_found_by_name() -> None:
    assert find(MUTANTS, [MUTANTS[1].name, MUTANTS[0].name]) == MUTANTS[:2]


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("revoke ignord", "; near it: revoke ignored"),
        ("slots leaked", "; near it: slot leaked"),
        ("leaked", "decoder's slot leaked"),
        ("xyzzy", "; --list names them"),
    ],
)
def test_a_name_that_none_has_is_refused_with_those_near_it(name: str, near: str) -> None:
    done = CliRunner().invoke(tool.app, ["--only", name])
    assert done.exit_code == 2
    assert f"there is no mutant '{name}'" in done.stderr
    assert near in " ".join(done.stderr.split())


def test_the_mutants_are_listed_and_nothing_is_broken(root: Path) -> None:
    (root / "streamproc" / "it.py").unlink()  # no mutant can be made of this
    done = CliRunner().invoke(tool.app, ["--list"])
    assert (done.exit_code, done.stdout) == (0, "m: a mistake\n")
