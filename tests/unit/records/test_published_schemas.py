"""Every version of a schema that was ever published stays, and rows of each are read by each other."""

import copy
import io
import json
import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import fastavro
import pytest
from fastavro.schema import parse_schema
from fastavro.utils import generate_many

from streamproc.records.avro import Row, encode, frame, schema_of, unframe
from streamproc.records.recording import RecordingEvent
from streamproc.records.result import EmotionResult
from streamproc.records.topics import Compatibility, compatibility
from tools import schemas

ROWS_EACH = 20
OUTPUTS = [kind for kind in schemas.ROWS if compatibility(kind) is Compatibility.OUTPUT]


def check_both_ways(one: dict[str, Any], other: dict[str, Any]) -> None:
    check_reads(one, other)
    check_reads(other, one)


def check_reads(writer: dict[str, Any], reader: dict[str, Any]) -> None:
    """Rows of one version, read by another: what both have is equal, what is new has its default."""
    theirs = {field["name"] for field in writer["fields"]}
    for row in generate_many(writer, ROWS_EACH):
        out = io.BytesIO()
        fastavro.schemaless_writer(out, parse_schema(copy.deepcopy(writer)), row)
        out.seek(0)
        read: Any = fastavro.schemaless_reader(
            out, parse_schema(copy.deepcopy(writer)), parse_schema(copy.deepcopy(reader))
        )
        out.seek(0)
        itself: Any = fastavro.schemaless_reader(out, parse_schema(copy.deepcopy(writer)), None)
        expected = {
            field["name"]: itself[field["name"]] if field["name"] in theirs else field["default"]
            for field in reader["fields"]
        }
        assert read == expected


def versions(kind: type[Row]) -> list[dict[str, Any]]:
    return [json.loads(text) for text in schemas.published(kind)]


@pytest.mark.parametrize("kind", schemas.ROWS)
def test_the_current_text_is_the_newest_published_version(kind: type[Row]) -> None:
    assert schemas.published(kind)[-1] == schema_of(kind).text, "run `PYTHONPATH=. python -m tools.schemas`"


def test_no_published_version_was_changed_or_removed() -> None:
    assert schemas.SUMS.read_text("utf-8") == schemas.sums()


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that may be changed."""
    copied = Path(shutil.copytree(schemas.PUBLISHED, tmp_path / "published"))
    monkeypatch.setattr(schemas, "PUBLISHED", copied)
    monkeypatch.setattr(schemas, "SUMS", copied / "SHA256SUMS")
    return copied


def test_a_text_that_was_changed_becomes_the_next_version(history: Path) -> None:
    before = schemas.SUMS.read_text("utf-8").splitlines()
    newest = history / "EmotionResult" / f"{len(schemas.published(EmotionResult))}.avsc"
    newest.unlink()
    schemas.SUMS.write_text("".join(f"{line}\n" for line in before if newest.name not in line.split("/")), "utf-8")
    schemas.publish()
    assert schemas.SUMS.read_text("utf-8").splitlines() == before


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_text(path.read_text() + "\n")])
def test_a_published_version_that_was_changed_or_removed_is_not_published_over(
    history: Path, change: Callable[[Path], object]
) -> None:
    change(history / "EmotionResult" / "3.avsc")
    before = schemas.SUMS.read_text("utf-8")
    with pytest.raises(ValueError, match=r"changed or removed: EmotionResult/3\.avsc"):
        schemas.publish()
    assert schemas.SUMS.read_text("utf-8") == before


def test_there_is_a_history_to_hold() -> None:
    assert max(len(schemas.published(kind)) for kind in schemas.ROWS) >= 3


@pytest.mark.parametrize("kind", OUTPUTS)
def test_readers_of_each_version_read_rows_of_each_other(kind: type[Row]) -> None:
    for writer, reader in product(versions(kind), repeat=2):
        check_reads(writer, reader)


def test_this_version_reads_every_event_that_was_ever_written() -> None:
    *older, newest = versions(RecordingEvent)
    for writer in [*older, newest]:
        check_reads(writer, newest)


def without_default(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "fields": [*schema["fields"], {"name": "more", "type": "string"}]}


def with_another_type(schema: dict[str, Any]) -> dict[str, Any]:
    first, *rest = schema["fields"]
    return {**schema, "fields": [{**first, "type": "int"}, *rest]}


def without_a_required_field(schema: dict[str, Any]) -> dict[str, Any]:
    return {**schema, "fields": schema["fields"][1:]}


@pytest.mark.parametrize("change", [without_default, with_another_type, without_a_required_field])
def test_the_check_finds_a_version_that_breaks_others(change: Any) -> None:
    (*_, ours) = versions(EmotionResult)
    broken = change(ours)
    with pytest.raises((KeyError, fastavro.read.SchemaResolutionError)):
        check_both_ways(ours, broken)


@pytest.mark.parametrize(
    ("name", "page"), [("schemas.md", schemas.fields_page), ("event-bytes.md", schemas.bytes_page)]
)
def test_the_pages_are_the_schemas(name: str, page: Any) -> None:
    assert (schemas.ROOT / "docs" / name).read_text("utf-8") == page(), "run `PYTHONPATH=. python -m tools.schemas`"


def test_every_number_has_a_unit() -> None:
    for kind in schemas.ROWS:
        for field in json.loads(schema_of(kind).text)["fields"]:
            schemas.unit(field)
    with pytest.raises(KeyError):
        schemas.unit({"name": "weight", "type": ["null", "double"]})


def test_the_program_of_the_bytes_page_reads_the_bytes_of_the_page(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (schemas.ROOT / "docs" / "event-bytes.md").read_text("utf-8")
    dump = page.partition("```text\n")[2].partition("```")[0].replace("\n", "")
    program = page.partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(schemas.ROOT)
    monkeypatch.setattr("sys.argv", ["check", dump])
    exec(compile(program, "event-bytes.md", "exec"), {})  # noqa: S102  # the page's own program, as a reader runs it
    said, left = capsys.readouterr().out.splitlines()
    assert said.startswith(f"True {schemas.EXAMPLE_ID} ")
    assert "'call-17-leg-1'" in said
    assert left.endswith(": 0")
    assert unframe(bytes.fromhex(dump)) == (schemas.EXAMPLE_ID, encode(schemas.EXAMPLE))
    assert frame(schemas.EXAMPLE_ID, encode(schemas.EXAMPLE)).hex() == dump
