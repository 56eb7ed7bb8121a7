import re
from pathlib import Path

import pytest

from streamproc.cli.app import app
from streamproc.settings import Settings

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
MODULE = re.compile(r"`((?:[a-z_]+/)+[a-z_0-9]+\.py)`")
COMMAND = re.compile(r"(?:bin/|`)streamproc ([a-z]+)")
VARIABLE = re.compile(r"STREAMPROC_([A-Z]+)__([A-Z_]+[A-Z])")


def found(pattern: re.Pattern[str]) -> list[tuple[Path, str]]:
    return [(page, match) for page in PAGES for match in pattern.findall(page.read_text("utf-8"))]


def test_the_pages_are_there() -> None:
    names = {page.relative_to(ROOT).as_posix() for page in PAGES}
    assert names >= {
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "docs/architecture.md",
        "docs/glossary.md",
        "docs/guarantees.md",
    }


@pytest.mark.parametrize(("pattern", "least"), [(LINK, 8), (MODULE, 20), (COMMAND, 4), (VARIABLE, 4)])
def test_the_patterns_find_what_they_are_for(pattern: re.Pattern[str], least: int) -> None:
    assert len(found(pattern)) >= least


def test_links_lead_to_files() -> None:
    assert [(page.name, link) for page, link in found(LINK) if not (page.parent / link).exists()] == []


def test_modules_that_are_named_exist() -> None:
    places = (ROOT, ROOT / "streamproc", ROOT / "streamproc" / "worker")
    names = [(page.name, name) for page, name in found(MODULE)]
    assert [(page, name) for page, name in names if not any((place / name).exists() for place in places)] == []


def test_commands_that_are_named_exist() -> None:
    commands = {command.callback.__name__ for command in app.registered_commands if command.callback}
    groups = {group.typer_instance.info.name for group in app.registered_groups if group.typer_instance}
    assert {command for _, command in found(COMMAND)} <= commands | groups


def test_settings_that_are_named_exist() -> None:
    for page, match in found(VARIABLE):
        section, name = (part.lower() for part in match)
        assert name in type(getattr(Settings(), section)).model_fields, (page.name, match)
