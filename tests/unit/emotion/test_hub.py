"""Fetching one file from hubs that behave and hubs that do not."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from streamproc.emotion.errors import HubAwayError, NoSpaceError, PullError, WrongBytesError
from streamproc.emotion.hub import SPARE_BYTES, Downloader, Patience, Wanted, file_url, open_client
from streamproc.emotion.pins import Hub
from streamproc.errors import ExitCode, UsageError
from streamproc.telemetry.clock import SystemClock
from tools.hub import Address, Answer, Asked, Fault, LocalHub, serving

NAME, REPO, REVISION = "model.pt", "emotion2vec/emotion2vec_plus_large", "6c303ba"
BODY = os.urandom(3_000_000)
QUICK = Patience(connect_s=2, silence_s=0.5, slow_s=0.3, slow_bytes=1000, attempts=3, pause_s=0.001)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[LocalHub]:
    body = tmp_path / "published"
    body.write_bytes(BODY)
    with serving(LocalHub({Address(REPO, REVISION, NAME): body})) as local:
        yield local


@pytest.fixture
def part(tmp_path: Path) -> Path:
    return tmp_path / "model.pt.part"


def fetch(hub: LocalHub, part: Path, size: int | None = len(BODY), kind: Hub = Hub.HUGGINGFACE) -> list[int]:
    """The progress that was told."""
    told: list[int] = []
    wanted = Wanted(NAME, file_url(kind, hub.url, REPO, REVISION, NAME), size)
    with open_client(QUICK) as client:
        Downloader(client, QUICK, SystemClock(), time.sleep).fetch(wanted, part, lambda done, _: told.append(done))
    return told


@pytest.mark.parametrize("kind", list(Hub))
@pytest.mark.parametrize("size", [len(BODY), None], ids=["pinned size", "unknown size"])
def test_a_file_comes_whole_from_either_hub(hub: LocalHub, part: Path, kind: Hub, size: int | None) -> None:
    told = fetch(hub, part, size, kind)
    assert part.read_bytes() == BODY
    assert told == sorted(told)
    assert told[-1] == len(BODY)


def test_the_addresses_are_those_of_the_hubs() -> None:
    assert str(file_url(Hub.HUGGINGFACE, None, "a/b", "r/1", "x y")) == "https://huggingface.co/a/b/resolve/r%2F1/x%20y"
    url = str(file_url(Hub.MODELSCOPE, None, "iic/b", "v2", "model.pt"))
    assert url == "https://www.modelscope.cn/api/v1/models/iic/b/repo?Revision=v2&FilePath=model.pt"


@pytest.mark.parametrize("address", ["ftp://x", "mirror.example.com", "http://", "http://[::"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="hub_url"):
        file_url(Hub.HUGGINGFACE, address, REPO, REVISION, NAME)


def test_a_part_is_gone_on_with(hub: LocalHub, part: Path) -> None:
    part.write_bytes(BODY[:1_000_000])
    fetch(hub, part)
    assert part.read_bytes() == BODY
    assert hub.asked == [Asked(NAME, 1_000_000)]


def test_a_whole_part_is_not_fetched_again(hub: LocalHub, part: Path) -> None:
    part.write_bytes(BODY)
    fetch(hub, part)
    assert hub.asked == []


def test_a_connection_that_breaks_is_gone_on_with(hub: LocalHub, part: Path) -> None:
    hub.faults[NAME] = [lambda a: a.whole(1_000_000), lambda a: a.whole(1_000_000), lambda a: a.whole(2_500_000)]
    fetch(hub, part)
    assert part.read_bytes() == BODY
    assert [asked.start for asked in hub.asked] == [0, 1_000_000, 1_000_000, 2_500_000]


def test_a_redirect_keeps_the_range(hub: LocalHub, part: Path) -> None:
    hub.redirected = frozenset({NAME})
    part.write_bytes(BODY[:10])
    fetch(hub, part)
    assert part.read_bytes() == BODY
    assert hub.asked == [Asked(NAME, 10)]


def test_a_hub_without_ranges_is_begun_anew(hub: LocalHub, part: Path) -> None:
    part.write_bytes(b"x" * 1000)

    def ignorant(answer: Answer) -> None:
        answer.start = 0
        answer.whole()

    hub.faults[NAME] = [ignorant]
    fetch(hub, part)
    assert part.read_bytes() == BODY


@pytest.mark.parametrize(
    "fault",
    [
        lambda a: a.head(416, 0),
        lambda a: (a.head(206, 5, Content_Range="bytes 0-4/5"), a.send(b"wrong")),
        lambda a: (a.head(206, 5), a.send(b"wrong")),
    ],
    ids=["unsatisfiable", "another part", "part of nothing"],
)
def test_an_answer_to_another_range_begins_anew(hub: LocalHub, part: Path, fault: Fault) -> None:
    part.write_bytes(BODY[:100])
    hub.faults[NAME] = [fault]
    fetch(hub, part)
    assert part.read_bytes() == BODY
    assert [asked.start for asked in hub.asked] == [100, 0]


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_a_busy_hub_is_asked_again(hub: LocalHub, part: Path, status: int) -> None:
    hub.faults[NAME] = [lambda a: a.head(status, 0)] * 2
    fetch(hub, part)
    assert part.read_bytes() == BODY


def dripping(answer: Answer) -> None:
    """A byte now and then: never silent, never done."""
    answer.head(200, len(BODY))
    for byte in BODY[:100]:
        answer.send(bytes([byte]))
        time.sleep(0.02)


def silent(answer: Answer) -> None:
    answer.head(200, len(BODY))
    time.sleep(1)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (lambda a: a.head(503, 0), "503"),
        (lambda a: a.drop(), "RemoteProtocolError"),
        (lambda a: a.whole(500), "RemoteProtocolError"),
        (silent, "ReadTimeout"),
        (dripping, "bytes came in"),
        (
            lambda a: (a.head(200, None, Transfer_Encoding="chunked"), a.send(b"3\r\nabc\r\n0\r\n\r\n")),
            "3 of 3,000,000",
        ),
    ],
    ids=["busy", "no answer", "breaks off", "silent", "too slow", "short without a length"],
)
def test_a_hub_that_never_gives_it_is_away_and_what_came_is_kept(
    hub: LocalHub, part: Path, fault: Fault, says: str
) -> None:
    def always(answer: Answer) -> None:
        hub.faults[NAME].append(always)
        answer.start = 0
        part.unlink(missing_ok=True)
        fault(answer)

    hub.faults[NAME] = [always]
    part.touch()
    with pytest.raises(HubAwayError, match=says) as caught:
        fetch(hub, part)
    assert caught.value.exit_code == ExitCode.DEPENDENCY_DOWN
    assert caught.value.file == NAME
    assert len(hub.asked) == QUICK.attempts


def test_a_hub_that_is_not_there_is_away(part: Path) -> None:
    with pytest.raises(HubAwayError, match="ConnectError"):
        fetch(LocalHub({}, url="http://127.0.0.1:9"), part)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (lambda a: a.head(404, 0), "does not have it"),
        (lambda a: a.head(403, 0), "refuses it"),
        (lambda a: a.head(401, 0), "refuses it"),
        (lambda a: a.head(204, None), "status 204"),
        (lambda a: (a.head(200, 6, Content_Type="text/html; charset=utf-8"), a.send(b"<html>")), "page for people"),
        (lambda a: (a.head(200, 6, Content_Encoding="gzip"), a.send(b"zipped")), "encoded"),
        (lambda a: a.head(302, 0, Location="ftp://127.0.0.1/x"), "redirects"),
    ],
    ids=["404", "403", "401", "204", "html", "gzip", "redirect elsewhere"],
)
def test_an_answer_that_asking_again_would_not_change_is_told_at_once(
    hub: LocalHub, part: Path, fault: Fault, says: str
) -> None:
    hub.faults[NAME] = [fault]
    with pytest.raises(PullError, match=says) as caught:
        fetch(hub, part)
    assert not isinstance(caught.value, HubAwayError)
    assert not part.exists()
    assert len(hub.asked) == 1


def test_redirects_in_a_circle_end(hub: LocalHub, part: Path) -> None:
    def around(answer: Answer) -> None:
        hub.faults[NAME].append(around)
        answer.head(302, 0, Location=answer.handler.path)

    hub.faults[NAME] = [around]
    with pytest.raises(PullError, match="redirects"):
        fetch(hub, part)


@pytest.mark.parametrize("announced", [len(BODY) - 1, len(BODY) + 1, 0])
def test_another_length_than_the_pinned_one_is_refused_before_a_byte_is_kept(
    hub: LocalHub, part: Path, announced: int
) -> None:
    hub.faults[NAME] = [lambda a: a.head(200, announced)]
    with pytest.raises(WrongBytesError) as caught:
        fetch(hub, part)
    assert caught.value.expected == "3,000,000 bytes"
    assert caught.value.found == f"{announced:,} bytes announced"
    assert not part.exists()


def test_more_than_was_pinned_is_not_kept(hub: LocalHub, part: Path) -> None:
    def endless(answer: Answer) -> None:
        answer.head(200, None, Transfer_Encoding="chunked")
        for _ in range(100):
            answer.send(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")

    hub.faults[NAME] = [endless]
    with pytest.raises(WrongBytesError, match="found more"):
        fetch(hub, part)
    assert not part.exists()


def test_a_length_beyond_reason_is_refused_where_none_is_pinned(hub: LocalHub, part: Path) -> None:
    hub.faults[NAME] = [lambda a: a.head(200, 10**12)]
    with pytest.raises(WrongBytesError, match="at most"):
        fetch(hub, part, None)


def test_a_disk_that_is_too_small_is_known_before_the_first_byte(
    hub: LocalHub, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": len(BODY)})
    monkeypatch.setattr("streamproc.emotion.hub.shutil.disk_usage", lambda _: usage)
    with pytest.raises(NoSpaceError) as caught:
        fetch(hub, part)
    assert (caught.value.needed, caught.value.free) == (len(BODY) + SPARE_BYTES, len(BODY))
    assert not part.exists()


def test_a_disk_that_fills_up_is_told_and_what_came_is_kept(
    hub: LocalHub, part: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: Callable[..., Any] = Path.open

    class Full:
        def __init__(self, file: Any) -> None:
            self._file = file

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            self._file.close()

        def seek(self, place: int) -> None:
            self._file.seek(place)

        def write(self, data: bytes) -> None:
            self._file.write(data[:1000])
            raise OSError(errno.ENOSPC, "No space left on device")

    def full(path: Path, mode: str) -> Any:
        return Full(opened(path, mode)) if path == part else opened(path, mode)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(NoSpaceError, match="make room"):
            fetch(hub, part)
    assert part.read_bytes() == BODY[:1000]
