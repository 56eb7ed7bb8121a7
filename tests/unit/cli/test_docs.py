import re
from pathlib import Path

import pytest
from confluent_kafka import Producer

from streamproc.cli.app import app
from streamproc.errors import ExitCode
from streamproc.kafka.config import transactional_config
from streamproc.operate.audit.finding import Fault
from streamproc.operate.dead_letter import ADVICE
from streamproc.records.recording import RecordingEvent
from streamproc.settings import Settings, handover_s, load_settings, takeover_s
from tools import metrics_table, settings_table

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
        "docs/configuration.md",
        "docs/downstream.md",
        "docs/event-bytes.md",
        "docs/glossary.md",
        "docs/guarantees.md",
        "docs/operate.md",
        "docs/operations.md",
        "docs/producers.md",
        "docs/runbook.md",
        "docs/schemas.md",
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


def between(page: str, begin: str) -> str:
    text = (ROOT / "docs" / page).read_text("utf-8")
    found = re.search(rf"<!-- {begin}.*? -->\n(.*?)\n<!-- end -->", text, re.DOTALL)
    assert found, page
    return found[1]


def test_the_table_of_settings_is_the_settings() -> None:
    assert between("configuration.md", "settings").splitlines() == settings_table.table().splitlines()


def test_the_tables_of_metrics_are_the_list() -> None:
    assert between("metrics.md", "metrics").splitlines() == metrics_table.table().splitlines()
    assert between("metrics.md", "times").splitlines() == metrics_table.times().splitlines()
    assert between("metrics.md", "analytics").splitlines() == metrics_table.analytics().splitlines()
    assert between("metrics.md", "connectors").splitlines() == metrics_table.connectors().splitlines()


def test_the_table_of_the_chain_is_the_chain() -> None:
    assert between("configuration.md", "chain").splitlines() == settings_table.chain().splitlines()


@pytest.mark.parametrize("name", ["configuration.md", "guarantees.md"])
def test_the_pages_say_how_long_takeovers_and_handovers_last(name: str) -> None:
    page = " ".join((ROOT / "docs" / name).read_text("utf-8").split())
    assert f"{takeover_s(Settings()):g} s by default" in page
    assert f"{handover_s(Settings()):g} s" in page


def test_the_table_of_dead_letters_is_what_the_command_says() -> None:
    rows = between("operations.md", "advice").splitlines()[2:]
    assert rows == [f"| `{reason}` | {advice} |" for reason, advice in ADVICE.items()]


def test_the_runbook_has_each_reason_and_each_fault() -> None:
    page = (ROOT / "docs" / "runbook.md").read_text("utf-8")
    told = [
        name for cell in re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    ]
    assert sorted(told) == sorted([*ADVICE, *Fault])


def test_the_table_of_exit_codes_has_each() -> None:
    table = (ROOT / "docs" / "operations.md").read_text("utf-8").partition("## Endpoints")[0]
    assert sorted(int(code) for code in re.findall(r"^\| (\d) \|", table, re.MULTILINE)) == sorted(ExitCode)


def test_the_table_of_fields_is_the_events() -> None:
    text = (ROOT / "docs" / "producers.md").read_text("utf-8").partition("## The fields")[2].partition("## ")[0]
    cells = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(cells)) == list(RecordingEvent._fields)


def test_the_toml_of_the_page_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    found = re.search(r"```toml\n(.*?)```", page, re.DOTALL)
    assert found
    file = tmp_path / "streamproc.toml"
    file.write_text(found[1], "utf-8")
    monkeypatch.setenv("STREAMPROC_CONFIG", str(file))
    monkeypatch.setenv("STREAMPROC_KAFKA__SASL_PASSWORD", "secret")
    settings = load_settings(local={"state_dir": tmp_path})
    assert settings.topics.dead_letters == "calls.recordings.dlq"
    assert settings.storage.buckets == {"calls", "archive"}
    # librdkafka refuses options that it does not know or was built without; the file of the CA is not this machine's.
    config = transactional_config(settings, 0)
    del config["ssl.ca.location"]
    Producer(config)
