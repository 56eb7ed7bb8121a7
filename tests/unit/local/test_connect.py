import zipfile
from pathlib import Path

import pytest

from streamproc.local.cache import Cache
from streamproc.local.connect import CONVERTER_CLASS, SERVICE, ConnectRecipe, declare, properties, trim
from streamproc.local.failure import LocalError
from streamproc.local.server import MAIN, Place
from streamproc.local.toolbox import Toolbox
from streamproc.settings import Settings


def place(tmp_path: Path) -> Place:
    return Place(tmp_path, {MAIN: 8083})


def test_the_worker_is_led_to_kafka_and_hands_out_one_variable_only(tmp_path: Path) -> None:
    settings = Settings(
        kafka={"bootstrap_servers": "127.0.0.1:7777"},  # type: ignore[arg-type]  # pydantic reads it
        warehouse={"password": "very secret"},  # type: ignore[arg-type]  # the same
    )
    text = properties(place(tmp_path), Path("/made/connect"), settings)
    values = dict(line.split("=", 1) for line in text.splitlines())
    assert values["bootstrap.servers"] == "127.0.0.1:7777"
    assert values["listeners"] == "http://127.0.0.1:8083"
    assert values["plugin.path"] == "/made/connect/plugins"
    assert values["config.providers.env.param.allowlist.pattern"] == "STREAMPROC_WAREHOUSE__PASSWORD"
    assert "very secret" not in text


def test_a_plug_in_keeps_what_only_it_needs(tmp_path: Path) -> None:
    for name in ("kafka-clients-3.9.0.jar", "avro-1.12.0.jar", "postgresql-42.jar", "ojdbc11.jar", "slf4j-api-1.jar"):
        (tmp_path / name).write_bytes(b"")
    trim(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["avro-1.12.0.jar", "postgresql-42.jar"]


def test_the_converter_is_declared_as_a_service(tmp_path: Path) -> None:
    declare(tmp_path / "services.jar")
    with zipfile.ZipFile(tmp_path / "services.jar") as jar:
        assert jar.read(SERVICE).decode().split() == [CONVERTER_CLASS]


def test_a_kafka_with_passwords_needs_a_connect_of_its_own(tmp_path: Path) -> None:
    settings = Settings(kafka={"security_protocol": "ssl"})  # type: ignore[arg-type]  # pydantic reads it
    box = Toolbox(prefer_path=True, cache=Cache(tmp_path), report=lambda _server, _text: None)
    with pytest.raises(LocalError, match="STREAMPROC_CONNECT__URL"):
        ConnectRecipe().describe(box, place(tmp_path), settings)
