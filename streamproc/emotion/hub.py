"""Hub: where a file lies on Hugging Face and ModelScope or a mirror of them, and fetching it whole or in parts.

The hubs' own clients are not used: `huggingface_hub` (2.4) begins a broken download anew in each process, and knows one
hub. What is asked of a hub here is a GET of a named file from a given byte on; the pinned hash decides what it was.
"""

import errno
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import quote, urlencode

import httpx2

from streamproc.emotion.errors import HubAwayError, NoSpaceError, PullError, WrongBytesError
from streamproc.emotion.pins import Hub
from streamproc.errors import UsageError
from streamproc.telemetry.clock import Clock

ADDRESSES = {Hub.HUGGINGFACE: "https://huggingface.co", Hub.MODELSCOPE: "https://www.modelscope.cn"}
MOST_BYTES = 8 * 1024**3
"""Of a file whose size is not pinned; the largest published one has 1.95 GB."""
SPARE_BYTES = 16 * 1024**2
"""Left free on the disk, so that a pull is never what fills it."""
_DENIED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_BUSY = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_CHECK_ADDRESS = "check the network and model.hub_url, or try the other hub (--from); what came is kept, pull again"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a hub is waited for."""

    connect_s: float = 15
    silence_s: float = 30
    slow_s: float = 60
    """A connection that brings less than ``slow_bytes`` in this time is dropped."""
    slow_bytes: int = 256 * 1024
    attempts: int = 5
    """In a row without ``slow_bytes`` more of the file."""
    pause_s: float = 1
    """Before the second attempt; doubled before each further one."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to fetch."""

    name: str
    url: httpx2.URL
    size: int | None


class _InterruptedError(Exception):
    """The connection ended early; asking again may help."""


def file_url(hub: Hub, address: str | None, repo: str, revision: str, file: str) -> httpx2.URL:
    """Where a file lies: ``address`` is a mirror of the hub, with the same layout. Raises UsageError."""
    base = (address or ADDRESSES[hub]).rstrip("/")
    if hub is Hub.HUGGINGFACE:
        text = f"{base}/{repo}/resolve/{quote(revision, safe='')}/{quote(file)}"
    else:
        text = f"{base}/api/v1/models/{repo}/repo?{urlencode({'Revision': revision, 'FilePath': file})}"
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL:
        url = httpx2.URL()
    if url.scheme not in {"http", "https"} or not url.host:
        raise UsageError("model.hub_url is no address: give one as https://mirror.example.com")
    return url


@contextmanager
def open_client(patience: Patience) -> Iterator[httpx2.Client]:
    """A client that follows redirects and takes proxies and certificates from the environment, as others do."""
    timeout = httpx2.Timeout(patience.silence_s, connect=patience.connect_s)
    with httpx2.Client(timeout=timeout, follow_redirects=True, max_redirects=5) as client:
        yield client


class Downloader:
    """Fetches files, one at a time, going on where a part of one lies already."""

    def __init__(
        self, client: httpx2.Client, patience: Patience, clock: Clock, sleep: Callable[[float], object]
    ) -> None:
        self._client = client
        self._patience = patience
        self._clock = clock
        self._sleep = sleep

    def fetch(self, wanted: Wanted, part: Path, tell: Callable[[int, int], None]) -> None:
        """Make ``part`` the whole file; its bytes are not checked yet. ``tell`` is told (bytes done, bytes in all).

        Raises HubAwayError (the part stays), NoSpaceError (it stays), WrongBytesError for another length than the
        pinned one, PullError for an answer that asking again would not change.
        """
        failures = 0
        while True:
            before = _size(part)
            try:
                self._once(wanted, part, tell)
            except _InterruptedError as error:
                grown = _size(part) - before
                failures = 1 if grown >= self._patience.slow_bytes else failures + 1
                if failures >= self._patience.attempts:
                    problem = f"{wanted.url.host} does not give it ({error})"
                    raise HubAwayError(wanted.name, problem, _CHECK_ADDRESS) from error
                self._sleep(self._patience.pause_s * 2 ** (failures - 1))
            except OSError as error:
                if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                    problem = f"cannot be written: {error.strerror}"
                    raise PullError(wanted.name, problem, f"look at {part.parent}") from error
                needed = (wanted.size or _size(part)) - _size(part)
                raise NoSpaceError(wanted.name, part.parent, needed, shutil.disk_usage(part.parent).free) from error
            else:
                return

    def _once(self, wanted: Wanted, part: Path, tell: Callable[[int, int], None]) -> None:
        start = _size(part)
        if wanted.size is not None and start > wanted.size:
            part.unlink()
            start = 0
        if start and start == wanted.size:
            return
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            with self._client.stream("GET", wanted.url, headers=headers) as response:
                start = _judge(response, wanted, part, start)
                total = _total(response, wanted, start)
                self._write(response, wanted, part, start, total, tell)
        except (httpx2.UnsupportedProtocol, httpx2.TooManyRedirects) as error:
            raise PullError(wanted.name, f"{wanted.url.host} redirects: {error}", _CHECK_ADDRESS) from error
        except httpx2.TransportError as error:
            raise _InterruptedError(f"{type(error).__name__}: {error}".rstrip(": ")) from error

    def _write(
        self,
        response: httpx2.Response,
        wanted: Wanted,
        part: Path,
        start: int,
        total: int | None,
        tell: Callable[[int, int], None],
    ) -> None:
        _check_space(wanted, part, (total or start) - start)
        done, most = start, MOST_BYTES if total is None else total
        mark, since = done, self._clock.monotonic()
        with part.open("r+b" if start else "wb") as file:
            file.seek(start)
            for chunk in response.iter_raw():
                done += len(chunk)
                if done > most:
                    break
                file.write(chunk)
                tell(done, most)
                now = self._clock.monotonic()
                if now - since > self._patience.slow_s:
                    if done - mark < self._patience.slow_bytes:
                        raise _InterruptedError(f"{done - mark} bytes came in {now - since:.0f} s")
                    mark, since = done, now
        if done > most:
            part.unlink()
            raise WrongBytesError(wanted.name, f"{most:,} bytes", "more")
        if total is not None and done < total:
            raise _InterruptedError(f"{done:,} of {total:,} bytes came")


def _judge(response: httpx2.Response, wanted: Wanted, part: Path, start: int) -> int:
    """From which byte on the answer goes. Raises what the status means."""
    status, host = response.status_code, response.url.host
    if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _InterruptedError(f"HTTP status {status}")
    if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        part.unlink(missing_ok=True)
        raise _InterruptedError(f"HTTP status {status}, it is begun anew")
    if status in _DENIED:
        raise PullError(wanted.name, f"{host} refuses it (HTTP status {status})", "try the other hub (--from)")
    if status == HTTPStatus.NOT_FOUND:
        remedy = "check --revision and model.hub_url, or try the other hub (--from)"
        raise PullError(wanted.name, f"{host} does not have it (HTTP status {status})", remedy)
    if status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
        raise PullError(wanted.name, f"{host} answers HTTP status {status}", _CHECK_ADDRESS)
    kind = response.headers.get("content-type", "")
    if kind.startswith("text/html"):
        problem = f"{host} sends a page for people in its place: a login, a portal or a proxy"
        raise PullError(wanted.name, problem, "open the address in a browser to see what it says")
    if response.headers.get("content-encoding", "identity") != "identity":
        raise PullError(wanted.name, f"{host} sends it encoded, which was not asked for", "try the other hub (--from)")
    if status == HTTPStatus.OK:
        return 0
    if response.headers.get("content-range", "").startswith(f"bytes {start}-"):
        return start
    part.unlink(missing_ok=True)
    raise _InterruptedError("another part came than was asked for, it is begun anew")


def _total(response: httpx2.Response, wanted: Wanted, start: int) -> int | None:
    """The length of the whole file: the pinned one, else the announced. Raises WrongBytesError where they differ."""
    text = response.headers.get("content-length", "")
    announced = start + int(text) if text.isascii() and text.isdigit() else None
    if announced is None:
        return wanted.size
    if wanted.size is not None and announced != wanted.size:
        raise WrongBytesError(wanted.name, f"{wanted.size:,} bytes", f"{announced:,} bytes announced")
    if announced > MOST_BYTES:
        raise WrongBytesError(wanted.name, f"at most {MOST_BYTES:,} bytes", f"{announced:,} bytes announced")
    return announced


def _check_space(wanted: Wanted, part: Path, missing: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if free < missing + SPARE_BYTES:
        raise NoSpaceError(wanted.name, part.parent, missing + SPARE_BYTES, free)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
