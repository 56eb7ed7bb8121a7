"""Maven: from PATH, else fetched by jgo; and what it brings, checked against the lists in ``poms/``."""

import hashlib
import importlib
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

from streamproc.local.failure import ProgramMissingError
from streamproc.local.java import Java
from streamproc.local.toolbox import PATH_ADVICE, Toolbox
from streamproc.local.trust import write_truststore

POMS = Path(__file__).parent / "poms"
VERSION = "3.9.9"
SHA256 = "7a9cdf674fc1703d6382f5f330b3d110ea1b512b51f1652846d9e4e8a588d766"
NETWORK_ADVICE = (
    "Check the network; a mirror or proxy is set in ~/.m2/settings.xml as for every Maven. Then run the command again."
)


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_list(path: Path) -> dict[str, str]:
    """File name to digest, from a list as ``sha256sum`` prints it."""
    return {name: digest for digest, name in (line.split() for line in path.read_text().splitlines())}


def check_list(folder: Path, expected: Mapping[str, str]) -> None:
    """Raise ProgramMissingError unless the folder holds exactly these files with exactly these contents."""
    found = {path.name: sha256(path) for path in folder.iterdir()}
    wrong = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if wrong:
        raise ProgramMissingError(
            f"Maven brought other files than the ones that were tested: {', '.join(wrong)}",
            "Nothing of it was kept. If your repository mirror alters files, ask its owner; else update the list "
            f"in {POMS} on purpose.",
        )


def fetch_maven(folder: Path, scratch: Path) -> None:
    """Unpack the Maven distribution into ``folder``."""
    try:
        jgo = importlib.import_module("jgo.maven")
    except ModuleNotFoundError:
        raise ProgramMissingError(
            "there is no mvn on PATH and the Python package jgo is not installed",
            "Install Maven, or run `pip install 'streamproc[local]'`.",
        ) from None
    component = jgo.MavenContext(repo_cache=scratch / "jgo").project("org.apache.maven", "apache-maven")
    artifact = component.at_version(VERSION).artifact(classifier="bin", packaging="tar.gz")
    try:
        archive = Path(artifact.resolve())
    except (OSError, RuntimeError, ValueError) as error:  # what requests and jgo raise for a network that is away
        raise ProgramMissingError(f"Maven {VERSION} could not be fetched: {error}", NETWORK_ADVICE) from error
    check_list(archive.parent, {archive.name: SHA256})
    unpack(archive, folder)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a tar archive; members that point outside are refused by tarfile's own filter."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")


def find_maven(box: Toolbox, server: str) -> Path:
    """The ``mvn`` command."""
    found = box.on_path("mvn")
    if found:
        return found
    name = f"maven-{VERSION}"
    return box.once(server, name, fetch_maven) / f"apache-{name}" / "bin" / "mvn"


def bring(box: Toolbox, java: Java, server: str, folder: Path, scratch: Path) -> None:
    """Fill ``folder`` with what ``poms/<server>.xml`` names, checked against ``poms/<server>.sha256``.

    The repository that Maven fills on the way is left in ``scratch``: the result is kept, not two copies of it.
    """
    maven = find_maven(box, server)
    log = box.cache.root / f"{server}-maven.log"
    trust = write_truststore(scratch / "trust.p12") if java.packaged else ()
    box.report(server, "downloading with Maven")
    box.run(
        f"Maven for {server}",
        (
            maven, "--batch-mode", "--quiet", "--file", POMS / f"{server}.xml",
            f"-Dmaven.repo.local={scratch / 'repository'}", f"-DoutputDirectory={folder}",
            "-DincludeScope=runtime", "dependency:copy-dependencies",
        ),
        os.environ | {"JAVA_HOME": str(java.home), "MAVEN_OPTS": " ".join((os.environ.get("MAVEN_OPTS", ""), *trust))},
        log,
        f"{NETWORK_ADVICE} {PATH_ADVICE if box.prefer_path else ''}".rstrip(),
    )  # fmt: skip
    check_list(folder, read_list(POMS / f"{server}.sha256"))


def cache_name(server: str, version: str) -> str:
    """The cached folder of a server: another list is another folder."""
    return f"{server}-{version}-{sha256(POMS / f'{server}.sha256')[:8]}"
