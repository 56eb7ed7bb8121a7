"""MinIO: an object store with the S3 API."""

import json
import platform
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streamproc.local.golang import install
from streamproc.local.probe import ok
from streamproc.local.server import MAIN, Place, Server
from streamproc.local.state import write_private
from streamproc.local.toolbox import Toolbox, answer
from streamproc.settings import Settings

MODULE = "github.com/minio/minio"
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"
"""The commit that was tested. Older ones have vanished from the module proxy, which is why the binary is kept."""


def credentials(place: Place) -> tuple[str, str]:
    """Access key and secret key, made up once for each place and readable by its owner only."""
    path = place.folder / "credentials.json"
    if not path.is_file():
        write_private(path, json.dumps({"access_key": secrets.token_hex(10), "secret_key": secrets.token_hex(20)}))
    kept = json.loads(path.read_text())
    return kept["access_key"], kept["secret_key"]


@dataclass(frozen=True, slots=True)
class MinioRecipe:
    """From PATH, or built once with Go and kept."""

    name: str = "minio"
    setting: tuple[str, str] = ("storage", "endpoint")
    port_names: tuple[str, ...] = (MAIN,)

    def obtain(self, box: Toolbox) -> None:
        """Find it or build it."""
        self._program(box)

    def _program(self, box: Toolbox) -> tuple[Path, str]:
        found = box.on_path("minio")
        if found:
            version = re.search(r"version (\S+)", answer([found, "--version"]))
            return found, version[1] if version else "unknown"
        folder = box.once(
            self.name,
            f"minio-{VERSION}-{platform.machine()}",
            lambda folder, _scratch: install(box, self.name, f"{MODULE}@{VERSION}", folder),
        )
        return folder / "minio", VERSION

    def describe(self, box: Toolbox, place: Place, settings: Settings) -> Server:
        """One folder of data; no console, no look for updates, no certificates of the user's."""
        program, version = self._program(box)
        box.report(self.name, "starting")
        access, secret = credentials(place)
        place.data.mkdir(exist_ok=True)
        environment = {
            "MINIO_ROOT_USER": access,
            "MINIO_ROOT_PASSWORD": secret,
            "MINIO_REGION": settings.storage.region,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
        }
        certificates = place.folder / "certificates"
        command = (
            str(program), "server", str(place.data), "--address", place.address, "--certs-dir", str(certificates),
        )  # fmt: skip
        return Server(version, command, environment)

    def answers(self, place: Place) -> bool:
        """Its own readiness check."""
        return ok(place.ports[MAIN], "/minio/health/ready")

    def exports(self, place: Place) -> Mapping[str, Mapping[str, str]]:
        """Where it is, and the keys."""
        access, secret = credentials(place)
        return {"storage": {"endpoint": f"http://{place.address}", "access_key": access, "secret_key": secret}}
