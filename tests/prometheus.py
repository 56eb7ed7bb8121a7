"""Prometheus and promtool: from PATH, else Debian's, unpacked into the cache of the local servers."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType

import httpx2

from streamproc.cache_root import cache_root
from streamproc.local.cache import Cache
from streamproc.local.ports import choose, fresh_candidates
from streamproc.settings import users_settings
from tests.programs import missing

FETCH_S = 180
ANSWER_S = 60
NOBODY: Mapping[str, str] = MappingProxyType({})


def program(name: str) -> Path:
    """The path of ``prometheus`` or ``promtool``; skips the test where neither PATH nor Debian has it."""
    local = users_settings().local
    found = shutil.which(name) if local.prefer_path else None
    if found is not None:
        return Path(found)
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        missing(f"there is no {name} on PATH, and no apt-get to fetch Debian's")
    cache = Cache(cache_root(local.cache_dir, os.environ))
    folder = cache.once("prometheus-debian", _unpack, threading.Event(), lambda: None)
    return folder / "usr" / "bin" / name


def _unpack(folder: Path, scratch: Path) -> None:
    """Debian's package, verified by apt, without installing anything: apt gets state of its own."""
    options = []
    for place, kind in (("lists/partial", "State::Lists"), ("cache/archives/partial", "Cache")):
        (scratch / place).mkdir(parents=True)
        options += ["-o", f"Dir::{kind}={scratch / place.partition('/')[0]}"]
    options += ["-o", "APT::Sandbox::User="]  # it would else give root's files away to a user who cannot read them
    for words in (["update"], ["download", "prometheus"]):
        done = _run(["apt-get", *options, *words], scratch)
        if done.returncode:
            missing(f"apt-get {words[0]} failed, and there is no Prometheus on PATH: {done.stderr[-300:]}")
    (package,) = scratch.glob("prometheus_*.deb")
    assert _run(["dpkg", "-x", str(package), str(folder)], scratch).returncode == 0


def _run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=FETCH_S, check=False)


@contextmanager
def scraping(target: str, rules: Path, folder: Path, users: Mapping[str, str] = NOBODY) -> Iterator[str]:
    """A Prometheus that scrapes ``target`` every second; the url of its API.

    With ``users``, names and bcrypt hashes of passwords, it lets nobody else in.
    """
    server = program("prometheus")
    port = choose(["web"], {}, fresh_candidates())["web"]
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: ['{rules}']\n"
        f"scrape_configs: [{{job_name: streamproc, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    web = folder / "web.yml"
    web.write_text(json.dumps({"basic_auth_users": dict(users)}))  # which is YAML, too
    address = f"127.0.0.1:{port}"
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            [
                server,
                f"--config.file={config}",
                f"--web.config.file={web}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        for _ in range(ANSWER_S * 10):
            assert process.poll() is None, (folder / "prometheus.log").read_text()[-2000:]
            if _ready(address):
                break
            threading.Event().wait(0.1)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(ANSWER_S)


def _ready(address: str) -> bool:
    try:
        answer = httpx2.get(f"http://{address}/-/ready", timeout=ANSWER_S, trust_env=False)
    except httpx2.TransportError:
        return False
    return answer.is_success or answer.status_code == HTTPStatus.UNAUTHORIZED
