"""Pull: a published model into the cache, whole and checked, or not at all."""

import fcntl
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from streamproc.emotion.directory import MODELS
from streamproc.emotion.errors import CheckpointError, NoSpaceError, PullError, WrongBytesError
from streamproc.emotion.hub import SPARE_BYTES, Downloader, Patience, Wanted, file_url, open_client
from streamproc.emotion.layout import CHECKED, MANIFEST
from streamproc.emotion.manifest import FileRecord, Manifest, Tell, read_manifest, sha256, verify, write_manifest
from streamproc.emotion.pins import ATTRIBUTION, LICENCE, NEEDED, PUBLISHED, Hub, Pin, Release
from streamproc.errors import UsageError
from streamproc.telemetry.clock import SystemClock

_HASH = re.compile(r"[0-9a-f]{64}")
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
PATIENCE = Patience()
SHORT = 12
"""Digits of a revision in the name of a folder; the manifest has all of them."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to pull, and from where."""

    name: str
    hub: Hub = Hub.HUGGINGFACE
    address: str | None = None
    """A mirror of the hub."""
    revision: str | None = None
    sha256: Mapping[str, str] = field(default_factory=dict)
    """Pins of the user's own, by file."""


@dataclass(frozen=True, slots=True)
class Pulled:
    """A model that is there, whole and checked."""

    directory: Path
    manifest: Manifest
    fetched_bytes: int
    mended: str = ""
    """What was wrong with the one that lay there; empty where nothing was."""


def pull(order: Order, root: Path, tell: Tell, patience: Patience = PATIENCE) -> Pulled:
    """Have a model in ``root`` (the cache), checked; without asking the hub where it lies there already.

    Raises UsageError for what is not known or not pinned, PullError and its kinds for what the hub or the disk does.
    """
    release = resolve(order)
    folder = root / MODELS / f"{order.name}@{(release.revision or '')[:SHORT]}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder, order.name):
            return _pull(order, release, folder, tell, patience)
    except OSError as error:
        problem = f"{error.filename or folder}: {error.strerror}"
        raise PullError(order.name, problem, "set STREAMPROC_CACHE to a folder of yours, with room") from error


def _pull(order: Order, release: Release, folder: Path, tell: Tell, patience: Patience) -> Pulled:
    staging = folder.with_name(f".{folder.name}.part")
    present = _present(folder, staging, release, tell)
    if isinstance(present, Manifest):
        return Pulled(folder, present, 0)
    staging.mkdir(exist_ok=True)
    with open_client(patience) as client:
        fetched = _fill(order, release, staging, Downloader(client, patience, SystemClock(), time.sleep), tell)
    files = {name: FileRecord((staging / name).stat().st_size, release.files[name].sha256) for name in NEEDED}
    about = ATTRIBUTION.format(title=PUBLISHED[order.name].title)
    manifest = Manifest(order.name, order.hub, release.repo, release.revision or "", LICENCE, about, files)
    write_manifest(staging, manifest)
    _settle(staging, folder)
    return Pulled(folder, manifest, fetched, present)


def resolve(order: Order) -> Release:
    """The release with every file pinned. Raises UsageError that says what is missing and how to give it."""
    published = PUBLISHED.get(order.name)
    if published is None:
        raise UsageError(f"no model {order.name!r} is known; published are {', '.join(PUBLISHED)}")
    for name, digest in order.sha256.items():
        if name not in NEEDED or not _HASH.fullmatch(digest):
            raise UsageError(f"--sha256 {name}={digest}: give one of {', '.join(NEEDED)} and 64 hexadecimal digits")
    known = published.releases[order.hub]
    revision = known.revision if order.revision is None else order.revision
    # Whoever names another revision means other files: the table says nothing of those.
    table = known.files if revision == known.revision else {}
    files = {**table, **{name: Pin(digest) for name, digest in order.sha256.items()}}
    missing = [name for name in NEEDED if name not in files]
    if revision is None or missing:
        wants = ([] if revision else ["a revision"]) + [f"the sha256 of {name}" for name in missing]
        how = " ".join(["" if revision else " --revision COMMIT", *(f"--sha256 {name}=HEX" for name in missing)])
        raise UsageError(
            f"{order.name} on {order.hub} is not pinned: {', '.join(wants)} not known here, and nothing is trusted on "
            f"first use. Take them from a source that you trust and give them:{' ' * (revision is not None)}{how}"
        )
    if not _REVISION.fullmatch(revision):
        raise UsageError(f"{revision!r} is no revision: give a commit or a tag")
    return replace(known, revision=revision, files=files)


def _present(folder: Path, staging: Path, release: Release, tell: Tell) -> Manifest | str:
    """The manifest of what is there and right, else what is wrong with it; empty where nothing is.

    What is wrong goes back to the staging folder: its files that are right are kept, the others fetched.
    """
    if not folder.is_dir():
        return ""
    try:
        manifest = read_manifest(folder)
        if manifest is not None and _pinned(manifest, release):
            verify(folder, manifest, tell)
            return manifest
        wrong = "it was pulled with other pins" if manifest else f"{MANIFEST} is gone"
    except CheckpointError as error:
        wrong = f"{error.path.name} {error.problem}"
    shutil.rmtree(staging, ignore_errors=True)
    folder.rename(staging)
    for name in (MANIFEST, CHECKED):
        (staging / name).unlink(missing_ok=True)
    return wrong


def _pinned(manifest: Manifest, release: Release) -> bool:
    return {name: record.sha256 for name, record in manifest.files.items()} == {
        name: pin.sha256 for name, pin in release.files.items()
    }


def _fill(order: Order, release: Release, staging: Path, down: Downloader, tell: Tell) -> int:
    """Have every file in the staging folder, right; how many bytes were fetched."""
    missing = [name for name in NEEDED if not _right(staging / name, release.files[name])]
    _check_space(staging, missing, release)
    fetched = 0
    for name in missing:
        pin, part = release.files[name], staging / f"{name}.part"
        before = part.stat().st_size if part.exists() else 0
        revision = pin.revision or release.revision or ""
        url = file_url(order.hub, order.address, release.repo, revision, name)
        down.fetch(Wanted(name, url, pin.size), part, partial(tell, name))
        found = sha256(part)
        if found != pin.sha256:
            part.unlink()
            raise WrongBytesError(name, f"sha256 {pin.sha256}", found)
        fetched += part.stat().st_size - before
        _sync(part)
        part.rename(staging / name)
    return fetched


def _right(path: Path, pin: Pin) -> bool:
    """Whether an earlier pull left the file whole; what is wrong is deleted."""
    if not path.exists():
        return False
    if pin.size in {None, path.stat().st_size} and sha256(path) == pin.sha256:
        return True
    path.unlink()
    return False


def _check_space(staging: Path, missing: list[str], release: Release) -> None:
    parts = sum(path.stat().st_size for path in staging.glob("*.part"))
    needed = sum(release.files[name].size or 0 for name in missing) - parts + SPARE_BYTES
    free = shutil.disk_usage(staging).free
    if free < needed:
        raise NoSpaceError(", ".join(missing), staging, needed, free)


def _settle(staging: Path, folder: Path) -> None:
    """Make it durable, then visible under its name, at once."""
    for path in (*staging.iterdir(), staging):
        _sync(path)
    staging.rename(folder)
    _sync(folder.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[None]:
    with folder.with_name(f".{folder.name}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PullError(name, "another pull of it is running", "wait for that one") from None
        yield
