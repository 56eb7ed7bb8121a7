from pathlib import Path

import pytest
from pydantic import SecretStr

from streamproc.local.cache import Cache
from streamproc.local.server import MAIN, Place
from streamproc.local.toolbox import Toolbox
from streamproc.local.watch import WatchRecipe
from streamproc.settings import KafkaSettings, RedisSettings, Settings


def test_the_watch_is_led_to_kafka_and_to_no_server_that_it_does_not_ask(tmp_path: Path) -> None:
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers="127.0.0.1:9"), redis=RedisSettings(url=SecretStr("redis://127.0.0.1:7"))
    )
    box = Toolbox(prefer_path=True, cache=Cache(tmp_path), report=lambda _server, _text: None)
    told = WatchRecipe().describe(box, Place(tmp_path, {MAIN: 1}), settings).environment
    assert told["STREAMPROC_KAFKA__BOOTSTRAP_SERVERS"] == "127.0.0.1:9"
    assert "redis://127.0.0.1:7" not in told.values()


def test_the_watch_finds_this_program_where_it_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Toolbox(prefer_path=True, cache=Cache(tmp_path), report=lambda _server, _text: None)
    place = Place(tmp_path, {MAIN: 1})
    monkeypatch.setenv("PYTHONPATH", "/a/clone")
    assert WatchRecipe().describe(box, place, Settings()).environment["PYTHONPATH"] == "/a/clone"
    monkeypatch.delenv("PYTHONPATH")
    assert "PYTHONPATH" not in WatchRecipe().describe(box, place, Settings()).environment
