"""A published model comes into the cache whole and checked, from either hub, or not at all."""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from streamproc.emotion import load_model
from streamproc.emotion.directory import find_directory
from streamproc.emotion.errors import CheckpointError, HubAwayError, NoSpaceError, PullError, WrongBytesError
from streamproc.emotion.hub import Patience
from streamproc.emotion.layout import CHECKED, CONFIG, CONFIGURATION, MANIFEST, TOKENS, WEIGHTS
from streamproc.emotion.manifest import read_manifest, sha256, verify
from streamproc.emotion.pins import LICENCE, NEEDED, PUBLISHED, Hub, Pin, Published, Release
from streamproc.emotion.pull import Order, Pulled, pull, resolve
from streamproc.errors import ExitCode, UsageError
from tools.hub import Address, Answer, LocalHub, serving

NAME = "emotion2vec_plus_large"
REVISION = "6c303ba987b86b93193de93e34bb2b077a6bedc4"
REPOS = {Hub.HUGGINGFACE: "emotion2vec/emotion2vec_plus_large", Hub.MODELSCOPE: "iic/emotion2vec_plus_large"}
QUICK = Patience(connect_s=2, silence_s=0.5, slow_s=0.3, slow_bytes=1000, attempts=2, pause_s=0.001)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def published(directories: Callable[[str], Path], tmp_path: Path) -> Path:
    """A narrow checkpoint as a hub has it: with the optimizer's state."""
    folder = Path(shutil.copytree(directories("tiny"), tmp_path / "published"))
    body = torch.load(folder / WEIGHTS, weights_only=True)
    state = {i: {"exp_avg": t * 0.1, "exp_avg_sq": t * t} for i, t in enumerate(body["model"].values())}
    torch.save(body | {"args": None, "last_optimizer_state": {"state": state}}, folder / WEIGHTS)
    return folder


@pytest.fixture(autouse=True)
def pinned(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table, with the files of this test in it."""
    pins = {name: Pin(sha256(published / name), (published / name).stat().st_size) for name in NEEDED}
    releases = {kind: Release(repo, REVISION, pins) for kind, repo in REPOS.items()}
    monkeypatch.setattr("streamproc.emotion.pull.PUBLISHED", {**PUBLISHED, NAME: Published("Narrow", releases)})


@pytest.fixture
def hub(published: Path) -> Iterator[LocalHub]:
    files = {Address(repo, REVISION, name): published / name for repo in REPOS.values() for name in NEEDED}
    with serving(LocalHub(files, frozenset({WEIGHTS}))) as local:
        yield local


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def get(hub: LocalHub, cache: Path, kind: Hub = Hub.HUGGINGFACE) -> Pulled:
    return pull(Order(NAME, kind, hub.url), cache, lambda *_: None, QUICK)


def left(cache: Path) -> set[str]:
    """What lies in the cache, but for locks."""
    return {
        path.relative_to(cache / "models").as_posix()
        for path in (cache / "models").rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


@pytest.mark.parametrize("kind", list(Hub))
def test_a_model_is_pulled_and_loaded_by_its_name(
    hub: LocalHub, cache: Path, kind: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled = get(hub, cache, kind)
    assert pulled.directory == cache / "models" / f"{NAME}@6c303ba987b8"
    assert left(cache) == {f"{pulled.directory.name}/{name}" for name in (*NEEDED, MANIFEST)}
    assert pulled.fetched_bytes == sum(record.size for record in pulled.manifest.files.values())
    assert (pulled.manifest.hub, pulled.manifest.repo, pulled.manifest.revision) == (kind, REPOS[kind], REVISION)
    assert pulled.manifest.licence == LICENCE
    assert "Ma et al." in pulled.manifest.attribution
    monkeypatch.setenv("STREAMPROC_CACHE", str(cache))
    model = load_model(NAME, device="cpu")
    assert model.identity.name == NAME
    assert model.identity.weights_sha256 == pulled.manifest.files[WEIGHTS].sha256
    assert load_model(f"{NAME}@6c303ba", device="cpu").identity == model.identity


def test_afterwards_the_hub_is_not_needed(hub: LocalHub, cache: Path) -> None:
    first = get(hub, cache)
    asked = len(hub.asked)
    again = pull(Order(NAME, Hub.MODELSCOPE, "http://127.0.0.1:9"), cache, lambda *_: None, QUICK)
    assert (again.directory, again.manifest, again.fetched_bytes) == (first.directory, first.manifest, 0)
    assert len(hub.asked) == asked


def test_a_pull_that_broke_off_goes_on_in_another_process(hub: LocalHub, cache: Path, published: Path) -> None:
    half = (published / WEIGHTS).stat().st_size // 2

    def half_way(answer: Answer) -> None:
        answer.whole(half)

    hub.faults[WEIGHTS] = [half_way, half_way]
    with pytest.raises(HubAwayError):
        get(hub, cache)
    assert not (cache / "models" / f"{NAME}@6c303ba987b8").exists()
    hub.asked.clear()
    pulled = get(hub, cache)
    assert [(asked.file, asked.start) for asked in hub.asked] == [(WEIGHTS, half)]
    assert pulled.fetched_bytes == (published / WEIGHTS).stat().st_size - half
    verify(pulled.directory, pulled.manifest, lambda *_: None)


@pytest.mark.parametrize("name", NEEDED)
def test_wrong_bytes_name_file_and_hashes_and_are_kept_nowhere(
    hub: LocalHub, cache: Path, published: Path, name: str
) -> None:
    expected = sha256(published / name)
    flip(published / name, 0)
    with pytest.raises(WrongBytesError) as caught:
        get(hub, cache)
    error = caught.value
    assert (error.file, error.expected, error.found) == (name, f"sha256 {expected}", sha256(published / name))
    assert error.exit_code == ExitCode.OTHER
    assert not any(name in path for path in left(cache))
    flip(published / name, 0)
    verify(get(hub, cache).directory, get(hub, cache).manifest, lambda *_: None)


@pytest.mark.parametrize("name", [*NEEDED, MANIFEST])
def test_a_flipped_byte_stops_the_load_and_the_next_pull_mends_it(hub: LocalHub, cache: Path, name: str) -> None:
    pulled = get(hub, cache)
    size = (pulled.directory / name).stat().st_size
    for place in {0, size // 3, size // 2, size - 1}:
        flip(pulled.directory / name, place)
        with pytest.raises(CheckpointError) as caught:
            load_model(pulled.directory, device="cpu")
        assert caught.value.path == pulled.directory / name
        assert "model pull" in caught.value.remedy
        flip(pulled.directory / name, place)
    load_model(pulled.directory, device="cpu")
    flip(pulled.directory / name, size // 2)
    hub.asked.clear()
    mended = get(hub, cache)
    assert name in mended.mended
    assert [asked.file for asked in hub.asked] == ([] if name == MANIFEST else [name])
    load_model(mended.directory, device="cpu")


def test_every_byte_of_the_manifest_counts(hub: LocalHub, cache: Path) -> None:
    directory = get(hub, cache).directory
    good = (directory / MANIFEST).read_bytes()
    for place in range(0, len(good), 3):
        (directory / MANIFEST).write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(CheckpointError):
            read_manifest(directory)


@pytest.mark.parametrize("name", NEEDED)
def test_verify_names_what_differs_or_is_gone(hub: LocalHub, cache: Path, name: str) -> None:
    pulled = get(hub, cache)
    flip(pulled.directory / name, 5)
    with pytest.raises(CheckpointError, match="sha256") as caught:
        verify(pulled.directory, pulled.manifest, lambda *_: None)
    assert caught.value.path.name == name
    (pulled.directory / name).write_bytes(b"x")
    with pytest.raises(CheckpointError, match="has 1 bytes"):
        verify(pulled.directory, pulled.manifest, lambda *_: None)
    (pulled.directory / name).unlink()
    with pytest.raises(CheckpointError, match="No such file"):
        verify(pulled.directory, pulled.manifest, lambda *_: None)


def test_a_configuration_that_names_a_file_that_was_not_pulled_is_refused(hub: LocalHub, cache: Path) -> None:
    """Sealed and hashed like everything else, so this takes a manifest that agrees."""
    from streamproc.emotion.manifest import FileRecord, write_manifest

    pulled = get(hub, cache)
    path = pulled.directory / CONFIGURATION
    body = json.loads(path.read_text())
    body["file_path_metas"]["init_param"] = "other.pt"
    path.write_text(json.dumps(body))
    (pulled.directory / WEIGHTS).rename(pulled.directory / "other.pt")
    files = {**pulled.manifest.files, CONFIGURATION: FileRecord(path.stat().st_size, sha256(path))}
    manifest = pulled.manifest
    write_manifest(
        pulled.directory,
        type(manifest)(
            manifest.name,
            manifest.hub,
            manifest.repo,
            manifest.revision,
            manifest.licence,
            manifest.attribution,
            files,
        ),
    )
    with pytest.raises(CheckpointError, match="none of the files that were pulled"):
        load_model(pulled.directory, device="cpu")


def test_a_file_that_the_hub_lacks_leaves_no_model(hub: LocalHub, cache: Path) -> None:
    hub.files = {address: path for address, path in hub.files.items() if address.file != TOKENS}
    with pytest.raises(PullError, match="does not have it"):
        get(hub, cache)
    assert not any(path.startswith(f"{NAME}@") for path in left(cache))
    with pytest.raises(UsageError, match="streamproc model pull emotion2vec_plus_large"):
        find_directory(NAME, cache)


def test_the_space_is_looked_at_before_anything_is_fetched(
    hub: LocalHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr("streamproc.emotion.pull.shutil.disk_usage", lambda _: usage)
    with pytest.raises(NoSpaceError, match="100 are free"):
        get(hub, cache)
    assert hub.asked == []


def test_two_pulls_of_one_model_do_not_meet(hub: LocalHub, cache: Path) -> None:
    (cache / "models").mkdir(parents=True)
    with (cache / "models" / f".{NAME}@6c303ba987b8.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(PullError, match="another pull"):
            get(hub, cache)


def test_a_cache_that_cannot_be_written_is_told(hub: LocalHub, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PullError, match=os.strerror(errno.ENOTDIR)):
        get(hub, tmp_path / "file")


@pytest.mark.parametrize("path", ["streamproc.emotion.pull.write_manifest", "streamproc.emotion.pull._settle"])
def test_a_pull_that_cannot_end_leaves_no_model_and_is_told(
    hub: LocalHub, cache: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")

    with monkeypatch.context() as patch:
        patch.setattr(path, full)
        with pytest.raises(PullError, match="somewhere: No space left"):
            get(hub, cache)
    with pytest.raises(UsageError):
        find_directory(NAME, cache)
    asked = len(hub.asked)
    get(hub, cache)
    assert len(hub.asked) == asked


def test_several_revisions_have_to_be_told_apart(hub: LocalHub, cache: Path) -> None:
    directory = get(hub, cache).directory
    shutil.copytree(directory, directory.with_name(f"{NAME}@other"))
    with pytest.raises(UsageError, match="several revisions"):
        find_directory(NAME, cache)
    assert find_directory(f"{NAME}@other", cache).name == f"{NAME}@other"
    with pytest.raises(UsageError, match="model pull"):
        find_directory(f"{NAME}@none", cache)


def test_a_path_is_a_path(cache: Path) -> None:
    assert find_directory(f"./{NAME}", cache) == Path(NAME)
    assert find_directory("demo", cache).name == "demo"


def flip(path: Path, place: int) -> None:
    body = bytearray(path.read_bytes())
    body[place] ^= 0x10
    path.write_bytes(body)
    assert path.name != CHECKED


PINS = dict.fromkeys(NEEDED, "0" * 64)


def test_what_is_not_pinned_is_refused_with_what_to_give() -> None:
    with pytest.raises(UsageError) as caught:
        resolve(Order("emotion2vec_plus_seed"))
    for words in ("nothing is trusted on first use", "--revision COMMIT", *(f"--sha256 {n}=HEX" for n in NEEDED)):
        assert words in str(caught.value)


def test_pins_of_the_users_own_are_taken() -> None:
    release = resolve(Order("emotion2vec_plus_seed", revision="abc", sha256=PINS))
    assert (release.revision, release.files[CONFIG]) == ("abc", Pin("0" * 64))


def test_the_table_says_nothing_of_another_revision() -> None:
    with pytest.raises(UsageError, match=rf"not pinned: the sha256 of {CONFIG}, "):
        resolve(Order(NAME, revision="27810dc2d2f86f80faeeb11b56a61260841f9201"))
    with pytest.raises(UsageError, match=rf"not pinned: the sha256 of {WEIGHTS} not"):
        resolve(Order(NAME, revision="27810dc", sha256={n: "0" * 64 for n in NEEDED if n != WEIGHTS}))


@pytest.mark.parametrize(
    ("order", "says"),
    [
        (Order("emotion3vec"), "published are emotion2vec_plus_large"),
        (Order(NAME, sha256={"model.pt": "abc"}), "64 hexadecimal"),
        (Order(NAME, sha256={"README.md": "0" * 64}), "64 hexadecimal"),
        (Order(NAME, revision="../../x", sha256=PINS), "no revision"),
        (Order(NAME, revision="", sha256=PINS), "no revision"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(order: Order, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        resolve(order)


def test_the_published_table_is_whole() -> None:
    for name, published in PUBLISHED.items():
        assert published.releases.keys() == set(Hub), name
        for release in published.releases.values():
            assert not release.files or (release.revision and release.files.keys() == set(NEEDED)), name
            assert all(len(bytes.fromhex(pin.sha256)) == 32 for pin in release.files.values())
    large = PUBLISHED[NAME].releases[Hub.HUGGINGFACE]
    assert large.revision == REVISION
    assert large.files[WEIGHTS].size == 1_945_790_254
    assert large.files[WEIGHTS].sha256 == "be501a01f26fcdc7663a062dff86af839afbaef7c4de32f5e42d7e1ad2784da4"


def test_the_pinned_labels_are_the_nine() -> None:
    """The file's hash is pinned, and its nine lines are known."""
    import hashlib

    lines = ("生气/angry", "厌恶/disgusted", "恐惧/fearful", "开心/happy", "中立/neutral", "其他/other", "难过/sad")
    text = "\n".join((*lines, "吃惊/surprised", "<unk>")).encode()
    pin = PUBLISHED[NAME].releases[Hub.HUGGINGFACE].files[TOKENS]
    assert (len(text), hashlib.sha256(text).hexdigest()) == (pin.size, pin.sha256)
