"""Apicurio: a schema registry with the Confluent API."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streamproc.local.java import QUICK_START, Java, find_java, heap
from streamproc.local.maven import POMS, bring, cache_name, read_list, unpack
from streamproc.local.probe import ok
from streamproc.local.server import MAIN, Place, Server
from streamproc.local.toolbox import Toolbox
from streamproc.settings import Settings

VERSION = "2.6.13"
JAR = f"apicurio-registry-app-{VERSION}.Final-runner.jar"
API = "/apis/ccompat/v7"
HEAP_MB = 256


@dataclass(frozen=True, slots=True)
class RegistryRecipe:
    """The registry's archive by Maven, run by Java; schemas in an H2 file, so that ids survive a restart."""

    name: str = "registry"
    setting: tuple[str, str] = ("registry", "url")
    port_names: tuple[str, ...] = (MAIN,)

    def obtain(self, box: Toolbox) -> None:
        """Get Java and the archive."""
        self._program(box)

    def _program(self, box: Toolbox) -> tuple[Java, Path]:
        java = find_java(box)

        def make(folder: Path, scratch: Path) -> None:
            archives = scratch / "archives"
            bring(box, java, self.name, archives, scratch)
            for name in read_list(POMS / f"{self.name}.sha256"):
                unpack(archives / name, folder)

        return java, box.once(self.name, cache_name(self.name, VERSION), make)

    def describe(self, box: Toolbox, place: Place, settings: Settings) -> Server:  # noqa: ARG002  # the recipes' shape
        """The database lives in the place's data folder."""
        java, folder = self._program(box)
        box.report(self.name, "starting")
        place.data.mkdir(exist_ok=True)
        environment = {
            "REGISTRY_DATASOURCE_URL": f"jdbc:h2:file:{place.data / 'schemas'}",
            "QUARKUS_HTTP_HOST": "127.0.0.1",
            "QUARKUS_HTTP_PORT": str(place.ports[MAIN]),
        }
        command = (str(java.executable), *heap(HEAP_MB), *QUICK_START, "-jar", str(folder / JAR))
        return Server(VERSION, command, environment)

    def answers(self, place: Place) -> bool:
        """The API lists the subjects, which asks the database."""
        return ok(place.ports[MAIN], f"{API}/subjects")

    def exports(self, place: Place) -> Mapping[str, Mapping[str, str]]:
        """Where its Confluent API is."""
        return {"registry": {"url": f"http://{place.address}{API}"}}
