"""Apache Kafka: one broker that is its own controller (KRaft)."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from streamproc.local.failure import LocalError
from streamproc.local.java import QUICK_START, Java, find_java, heap
from streamproc.local.maven import bring, cache_name
from streamproc.local.probe import connects
from streamproc.local.server import MAIN, Place, Server
from streamproc.local.toolbox import Toolbox, clean_environment
from streamproc.settings import Settings

VERSION = "4.3.1"
CONTROLLER = "controller"
LOGGING = Path(__file__).parent / "kafka.log4j2.properties"

BROKER: Mapping[str, str | int] = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "auto.create.topics.enable": "false",
    # One broker holds one copy of everything.
    "default.replication.factor": 1,
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "share.coordinator.state.topic.num.partitions": 4,
    # A killed broker comes back when the controller has given up its former self: 5 s instead of 13 s.
    "broker.session.timeout.ms": 2_000,
    "broker.heartbeat.interval.ms": 500,
    # A killed member's partitions move after 6 s instead of 45 s. The bounds must come down with the values.
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1_000,
    "group.consumer.min.session.timeout.ms": 1_000,
    "group.consumer.session.timeout.ms": 6_000,
    "group.consumer.min.heartbeat.interval.ms": 500,
    "group.consumer.heartbeat.interval.ms": 1_000,
    # An abandoned transaction is aborted within a second of its timeout instead of ten.
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1_000,
    # A small machine.
    "num.network.threads": 2,
    "num.io.threads": 4,
    "log.cleaner.dedupe.buffer.size": 8_388_608,
}


def escape(value: str) -> str:
    """A value for a Java properties file, which is Latin-1 and takes backslashes as escapes."""
    units = value.replace("\\", "\\\\").encode("utf-16-be")
    codes = [int.from_bytes(units[at : at + 2], "big") for at in range(0, len(units), 2)]
    return "".join(chr(code) if code < 128 else f"\\u{code:04x}" for code in codes)  # noqa: PLR2004  # ASCII


def properties(place: Place) -> str:
    """The broker's ``server.properties``."""
    controller = f"127.0.0.1:{place.ports[CONTROLLER]}"
    here = {
        "listeners": f"PLAINTEXT://{place.address},CONTROLLER://{controller}",
        "advertised.listeners": f"PLAINTEXT://{place.address}",
        "controller.quorum.voters": f"1@{controller}",
        "log.dirs": str(place.data),
    }
    return "".join(f"{name}={escape(str(value))}\n" for name, value in {**BROKER, **here}.items())


def format_command(java: Java, jars: Path, config: Path, identity: str) -> tuple[str, ...]:
    """Gives an empty data folder its identity: 22 characters of URL-safe base64, which may begin with a dash."""
    tool = ("-Xmx128m", *QUICK_START, "-cp", f"{jars}/*", "kafka.tools.StorageTool", "format")
    return (str(java.executable), *tool, "--ignore-formatted", f"--cluster-id={identity}", f"--config={config}")


def format_data(box: Toolbox, java: Java, jars: Path, place: Place, config: Path) -> None:
    """Format the data folder unless it is: a broker asks for it before its first start. Raises LocalError."""
    if (place.data / "meta.properties").is_file():
        return
    place.data.mkdir(exist_ok=True)
    box.run(
        f"formatting Kafka's data folder {place.data}",
        format_command(java, jars, config, secrets.token_urlsafe(16)),
        clean_environment({}),
        place.folder / "format.log",
        "If it holds nothing that you need, `streamproc down --wipe` clears it.",
        LocalError,
    )


@dataclass(frozen=True, slots=True)
class KafkaRecipe:
    """The broker's jars by Maven, run by Java."""

    name: str = "kafka"
    setting: tuple[str, str] = ("kafka", "bootstrap_servers")
    port_names: tuple[str, ...] = (MAIN, CONTROLLER)

    def obtain(self, box: Toolbox) -> None:
        """Get Java and the jars."""
        self._program(box)

    def _program(self, box: Toolbox) -> tuple[Java, Path]:
        java = find_java(box)
        jars = box.once(
            self.name,
            cache_name(self.name, VERSION),
            lambda folder, scratch: bring(box, java, self.name, folder, scratch),
        )
        return java, jars

    def describe(self, box: Toolbox, place: Place, settings: Settings) -> Server:
        """Write the configuration, format the data folder the first time."""
        java, jars = self._program(box)
        config = place.folder / "server.properties"
        config.write_text(properties(place), encoding="ascii")
        box.report(self.name, "starting")
        format_data(box, java, jars, place, config)
        command = (
            str(java.executable), *heap(settings.local.kafka_heap_mb), *QUICK_START,
            f"-Dlog4j2.configurationFile={LOGGING}", "-cp", f"{jars}/*", "kafka.Kafka", str(config),
        )  # fmt: skip
        return Server(VERSION, command)

    def answers(self, place: Place) -> bool:
        """A broker opens its port when it is ready to be used, measured: topics are made at once."""
        return connects(place.ports[MAIN])

    def exports(self, place: Place) -> Mapping[str, Mapping[str, str]]:
        """Where the broker is."""
        return {"kafka": {"bootstrap_servers": place.address}}
