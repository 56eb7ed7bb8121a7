import json
import os
import time
from pathlib import Path
from typing import Self

import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.cli.recordings import check_files
from streamproc.errors import DependencyDownError, UsageError
from streamproc.kafka.publisher import DeliveryError
from streamproc.records.recording import RecordingEvent

run = CliRunner()


class FakeClient:
    """Notes what it is asked to publish."""

    published: list[tuple[Path, dict[str, object]]]
    flushed = False
    refuses = ""
    """Name of the file that the store does not take."""
    loses: tuple[str, ...] = ()
    """Names of the files whose announcement does not arrive."""

    def __init__(self, _settings: object) -> None:
        FakeClient.published = []
        FakeClient.flushed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()

    def flush(self) -> None:
        lost, FakeClient.loses = FakeClient.loses, ()
        if lost:
            raise DeliveryError(tuple(f"id-{name}" for name in lost), "timed out", "kafka:9092")
        FakeClient.flushed = True

    def publish(self, recording: Path, **about: object) -> RecordingEvent:
        if recording.name == FakeClient.refuses:
            raise DependencyDownError("object store", "503")
        self.published.append((recording, about))
        name = recording.name.encode(errors="replace").decode()
        return RecordingEvent(f"id-{name}", 0, "recordings", f"sha256/{name}")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> type[FakeClient]:
    monkeypatch.setattr("streamproc.client.RecordingClient", FakeClient)
    FakeClient.published = []
    FakeClient.refuses, FakeClient.loses = "", ()
    return FakeClient


def file(folder: Path, name: str, body: bytes = b"RIFF") -> Path:
    path = folder / name
    path.write_bytes(body)
    return path


def test_ids_are_printed_with_their_files(client: type[FakeClient], tmp_path: Path) -> None:
    paths = [file(tmp_path, "a.wav"), file(tmp_path, "b.wav")]
    done = run.invoke(app, ["publish", *map(str, paths), "--call-id", "c-17", "--language", "en"])
    assert done.exit_code == 0, done.output
    assert done.stdout == f"id-a.wav  {paths[0]}\nid-b.wav  {paths[1]}\n"
    assert "`streamproc results --since 1m --follow`" in done.stderr
    assert client.flushed
    about = {"call_id": "c-17", "language": "en", "channels": "mix", "outputs": frozenset({"scores", "segments"})}
    assert client.published == [(path, about | {"attributes": {"file_name": path.name}}) for path in paths]


def test_a_name_that_is_no_text_goes_along_as_far_as_it_is(client: type[FakeClient], tmp_path: Path) -> None:
    path = file(tmp_path, os.fsdecode(b"call-\xff-\xc3\xa9.wav"))
    assert run.invoke(app, ["publish", str(path), "--json"]).exit_code == 0
    assert client.published[0][1]["attributes"] == {"file_name": "call-?-é.wav"}


def test_json_is_one_object_a_line(client: type[FakeClient], tmp_path: Path) -> None:
    path = file(tmp_path, "a.wav")
    done = run.invoke(app, ["publish", str(path), "--json", "--channels", "split", "--tenant", "t"])
    assert json.loads(done.stdout) == {
        "file": str(path),
        "event_id": "id-a.wav",
        "bucket": "recordings",
        "object_key": "sha256/a.wav",
    }
    assert client.published[0][1]["channels"] == "split"
    assert client.published[0][1]["tenant"] == "t"


def about_each(client: type[FakeClient], name: str) -> list[object]:
    return [about.get(name) for _, about in client.published]


def test_who_spoke_and_where_the_call_came_in_go_along(client: type[FakeClient], tmp_path: Path) -> None:
    done = run.invoke(app, ["publish", str(file(tmp_path, "a.wav")), "--agent", "anna", "--queue", "billing"])
    assert done.exit_code == 0, done.output
    assert (about_each(client, "agent"), about_each(client, "queue")) == (["anna"], ["billing"])


@pytest.mark.parametrize("option", ["--call-id", "--tenant", "--agent", "--queue", "--language"])
@pytest.mark.parametrize("text", ["", " \t"])
def test_a_name_that_nobody_could_read_is_refused(
    client: type[FakeClient], tmp_path: Path, option: str, text: str
) -> None:
    done = run.invoke(app, ["publish", str(file(tmp_path, "a.wav")), option, text])
    assert done.exit_code == UsageError.exit_code
    assert f"{option} is blank" in done.stderr
    assert client.published == []


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("2026-01-31T09:15:00Z", 1_769_850_900_000),
        ("2026-01-31t10:15:00.5+01:00", 1_769_850_900_500),
        ("2026-01-31 00:15:00-09:00", 1_769_850_900_000),
        ("1969-12-31T23:59:59Z", -1_000),
    ],
)
def test_a_moment_is_that_of_all_files(client: type[FakeClient], tmp_path: Path, text: str, at_ms: int) -> None:
    paths = [str(file(tmp_path, name)) for name in ("a.wav", "b.wav")]
    done = run.invoke(app, ["publish", *paths, "--recorded-at", text])
    assert done.exit_code == 0, done.output
    assert about_each(client, "recorded_at") == [at_ms, at_ms]


def test_each_file_has_its_own_time_when_asked(client: type[FakeClient], tmp_path: Path) -> None:
    paths = [file(tmp_path, name) for name in ("a.wav", "b.wav")]
    os.utime(paths[0], ns=(0, 1_769_850_900_123_999_999))
    os.utime(paths[1], ns=(0, 1_769_850_000_000_000_000))
    done = run.invoke(app, ["publish", *map(str, paths), "--recorded-at", "mtime"])
    assert done.exit_code == 0, done.output
    assert about_each(client, "recorded_at") == [1_769_850_900_123, 1_769_850_000_000]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-01-31",
        "2026-01-31T09:15:00",  # nobody knows where
        "2026-02-30T09:15:00Z",
        "2026-01-31T25:15:00Z",
        "2026-01-31T09:15:00+24:00",
        "20260131T091500Z",
        "\u0662026-01-31T09:15:00Z",
        "1769850900000",
        "MTIME",
    ],
)
def test_what_is_no_time_is_refused(client: type[FakeClient], tmp_path: Path, text: str) -> None:
    done = run.invoke(app, ["publish", str(file(tmp_path, "a.wav")), "--recorded-at", text])
    assert done.exit_code == 2, done.output
    assert "2026-01-31T09:15:00Z" in done.stderr
    assert client.published == []


def test_what_is_still_to_come_is_refused(client: type[FakeClient], tmp_path: Path) -> None:
    path = file(tmp_path, "a.wav")
    done = run.invoke(app, ["publish", str(path), "--recorded-at", "9999-12-31T23:59:59-23:59"])
    assert done.exit_code == 2
    assert "still to come" in done.stderr
    os.utime(path, (0, 4_102_444_800))
    done = run.invoke(app, ["publish", str(path), "--recorded-at", "mtime"])
    assert done.exit_code == 2
    assert f"{path}: was last written at 2100-01-01T00:00:00+00:00" in done.stderr
    assert client.published == []


def test_a_clock_that_is_a_little_fast_is_no_obstacle(client: type[FakeClient], tmp_path: Path) -> None:
    path = file(tmp_path, "a.wav")
    soon = time.time() + 60
    os.utime(path, (soon, soon))
    assert run.invoke(app, ["publish", str(path), "--recorded-at", "mtime"]).exit_code == 0
    assert len(client.published) == 1


def test_an_announcement_that_did_not_arrive_is_not_told_as_done(client: type[FakeClient], tmp_path: Path) -> None:
    client.loses = ("a.wav", "c.wav")
    paths = [file(tmp_path, name) for name in ("a.wav", "b.wav", "c.wav")]
    done = run.invoke(app, ["publish", *map(str, paths)])
    assert done.exit_code == 3
    assert done.stdout == f"id-b.wav  {paths[1]}\n"
    assert "Announced" not in done.stderr


def test_what_was_announced_before_a_failure_is_told(client: type[FakeClient], tmp_path: Path) -> None:
    client.refuses = "b.wav"
    paths = [file(tmp_path, name) for name in ("a.wav", "b.wav", "c.wav")]
    done = run.invoke(app, ["publish", *map(str, paths)])
    assert done.exit_code == 3
    assert done.stdout == f"id-a.wav  {paths[0]}\n"
    assert client.flushed
    assert "object store" in done.stderr
    assert "Announced" not in done.stderr


def test_one_bad_file_stops_all_before_the_first_is_stored(client: type[FakeClient], tmp_path: Path) -> None:
    good, empty = file(tmp_path, "a.wav"), file(tmp_path, "empty.wav", b"")
    done = run.invoke(app, ["publish", str(good), str(empty), str(tmp_path), str(tmp_path / "gone.wav")])
    assert done.exit_code == 2
    assert client.published == []
    assert "empty.wav: has no bytes" in done.stderr
    assert f"{tmp_path}: is a directory" in done.stderr
    assert "gone.wav: does not exist" in done.stderr
    assert "a.wav:" not in done.stderr.replace("gone", "")


def test_channels_are_one_of_two(client: type[FakeClient], tmp_path: Path) -> None:
    assert run.invoke(app, ["publish", str(file(tmp_path, "a.wav")), "--channels", "left"]).exit_code == 2
    assert client.published == []


def test_a_file_over_the_limit_is_named_with_the_limit_and_one_at_the_limit_is_not(tmp_path: Path) -> None:
    files = [file(tmp_path, "fits.wav", b"x" * 10), file(tmp_path, "big.wav", b"x" * 11)]
    with pytest.raises(UsageError, match=r"big\.wav: has 11 bytes; audio\.max_object_bytes is 10") as caught:
        check_files(files, 10)
    assert "fits.wav" not in str(caught.value)


def test_a_pipe_is_no_recording(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="no regular file"):
        check_files([tmp_path / "pipe"], 10)
