"""Kafka Connect: one worker with the sink and the converter that bring results to the warehouse."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streamproc.local.failure import LocalError
from streamproc.local.java import QUICK_START, Java, find_java, heap
from streamproc.local.kafka import LOGGING, escape
from streamproc.local.maven import POMS, bring, cache_name, read_list, unpack
from streamproc.local.ports import HOST
from streamproc.local.probe import ok
from streamproc.local.server import MAIN, Place, Server
from streamproc.local.toolbox import Toolbox
from streamproc.settings import Settings

VERSION = "4.3.1"
HEAP_MB = 384
SINK, CONVERTER = "connect-jdbc", "connect-converter"
"""The lists of the two plug-ins."""
OURS = ("kafka-clients-", "connect-api-", "connect-json-", "slf4j-api-", "lz4-java-", "snappy-java-", "zstd-jni-")
"""Jars that the worker has in its own version; a plug-in's would be loaded beside them."""
OTHERS = ("ojdbc", "mysql-", "mariadb-", "mssql-")
"""Drivers of other databases."""
CONVERTER_CLASS = "io.apicurio.registry.utils.converter.AvroConverter"
SERVICE = "META-INF/services/org.apache.kafka.connect.storage.Converter"

WORKER: Mapping[str, str | int] = {
    "group.id": "streamproc-connect",
    "config.storage.topic": "streamproc.connect.configs",
    "offset.storage.topic": "streamproc.connect.offsets",
    "status.storage.topic": "streamproc.connect.status",
    # One broker holds one copy of everything.
    "config.storage.replication.factor": 1,
    "offset.storage.replication.factor": 1,
    "offset.storage.partitions": 4,
    "status.storage.replication.factor": 1,
    "status.storage.partitions": 2,
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.converters.ByteArrayConverter",
    # Found by the services that jars declare, not by reading every class: 3 s to start instead of 8 to 19.
    "plugin.discovery": "service_load",
    # A connector names the variable that holds the password; no other variable can be asked for.
    "config.providers": "env",
    "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
    "config.providers.env.param.allowlist.pattern": "STREAMPROC_WAREHOUSE__PASSWORD",
    "offset.flush.interval.ms": 2_000,
    # A killed worker's tasks go on after 10 s instead of minutes.
    "scheduled.rebalance.max.delay.ms": 0,
    "session.timeout.ms": 10_000,
    "heartbeat.interval.ms": 2_000,
    "consumer.session.timeout.ms": 10_000,
    "consumer.heartbeat.interval.ms": 2_000,
}


def properties(place: Place, folder: Path, settings: Settings) -> str:
    """The worker's configuration."""
    here = {
        "bootstrap.servers": settings.kafka.bootstrap_servers,
        "listeners": f"http://{place.address}",
        "rest.advertised.host.name": HOST,
        "plugin.path": str(folder / "plugins"),
    }
    return "".join(f"{name}={escape(str(value))}\n" for name, value in {**WORKER, **here}.items())


def trim(folder: Path) -> None:
    """Take out of a plug-in what the worker has, and what talks to other databases."""
    for jar in folder.iterdir():
        if jar.name.startswith((*OURS, *OTHERS)):
            jar.unlink()


def declare(jar: Path) -> None:
    """Write the jar that declares the converter as a service: its own jar does not."""
    with zipfile.ZipFile(jar, "w") as file:
        file.writestr(SERVICE, f"{CONVERTER_CLASS}\n")


@dataclass(frozen=True, slots=True)
class ConnectRecipe:
    """The worker's jars and two plug-ins by Maven, run by Java."""

    name: str = "connect"
    setting: tuple[str, str] = ("connect", "url")
    port_names: tuple[str, ...] = (MAIN,)

    def obtain(self, box: Toolbox) -> None:
        """Get Java and the jars."""
        self._program(box)

    def _program(self, box: Toolbox) -> tuple[Java, Path]:
        java = find_java(box)

        def make(folder: Path, scratch: Path) -> None:
            for part in (self.name, CONVERTER, SINK):
                (scratch / part).mkdir()
            bring(box, java, self.name, folder / "libs", scratch / self.name)
            converter = folder / "plugins" / "converter"
            bring(box, java, CONVERTER, converter, scratch / CONVERTER)
            trim(converter)
            declare(converter / "services.jar")
            bring(box, java, SINK, scratch / SINK / "archives", scratch / SINK)
            for name in read_list(POMS / f"{SINK}.sha256"):
                unpack(scratch / SINK / "archives" / name, folder / "plugins")
            trim(folder / "plugins" / "debezium-connector-jdbc")

        lists = [cache_name(part, VERSION).rpartition("-")[2] for part in (CONVERTER, SINK)]
        return java, box.once(self.name, "-".join([cache_name(self.name, VERSION), *lists]), make)

    def describe(self, box: Toolbox, place: Place, settings: Settings) -> Server:
        """Write the configuration. The settings lead to Kafka and to the warehouse."""
        if settings.kafka.security_protocol != "plaintext":
            raise LocalError(
                "the local Kafka Connect speaks to a Kafka without passwords only",
                "Run a Connect of your own and set STREAMPROC_CONNECT__URL (docs/downstream.md has its settings).",
            )
        java, folder = self._program(box)
        config = place.folder / "worker.properties"
        config.write_text(properties(place, folder, settings), encoding="ascii")
        box.report(self.name, "starting")
        command = (
            str(java.executable), *heap(HEAP_MB), *QUICK_START, f"-Dlog4j2.configurationFile={LOGGING}",
            "-cp", f"{folder / 'libs'}/*", "org.apache.kafka.connect.cli.ConnectDistributed", str(config),
        )  # fmt: skip
        secret = {"STREAMPROC_WAREHOUSE__PASSWORD": settings.warehouse.password.get_secret_value()}
        return Server(VERSION, command, secret)

    def answers(self, place: Place) -> bool:
        """Its own check: it has joined its group and read its connectors."""
        return ok(place.ports[MAIN], "/health")

    def exports(self, place: Place) -> Mapping[str, Mapping[str, str]]:
        """Where its REST API is."""
        return {"connect": {"url": f"http://{place.address}"}}
