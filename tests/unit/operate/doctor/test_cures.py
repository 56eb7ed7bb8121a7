"""What the doctor advises where a server is there, and it is the settings that are not right."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import StreamRequestHandler, TCPServer

import pytest
from confluent_kafka import KafkaError
from pydantic import SecretStr

from streamproc.operate.doctor import brokers, cache, registry, store
from streamproc.operate.doctor.check import Check
from streamproc.operate.doctor.examine import Examined, examine
from streamproc.operate.doctor.finding import Verdict
from streamproc.settings import KafkaSettings, RedisSettings, RegistrySettings, Settings, StorageSettings
from streamproc.telemetry.clock import SystemClock

NOWHERE = "nohost.invalid:1"
UNKNOWN = "This computer knows no such host: correct its name in"


def asked(check: Check) -> Examined:
    (found,) = examine([check])
    assert found.verdict is Verdict.WRONG
    return found


@contextmanager
def serving(server: TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_host_that_nobody_knows_is_told_by_the_setting_that_names_it() -> None:
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=NOWHERE),
        registry=RegistrySettings(url=f"http://{NOWHERE}", timeout_s=1),
        redis=RedisSettings(url=SecretStr(f"redis://{NOWHERE}/0")),
        storage=StorageSettings(endpoint=f"http://{NOWHERE}"),
    )
    clock = SystemClock()
    found = {
        setting: asked(check).advice
        for setting, check in {
            "kafka.bootstrap_servers": brokers.check(settings),
            "registry.url": registry.check(settings),
            "redis.url": cache.check(settings, clock),
            "storage.endpoint": store.check(settings, clock),
        }.items()
    }
    assert {setting: advice for setting, advice in found.items() if f"{UNKNOWN} {setting}," not in advice} == {}


@pytest.mark.parametrize(
    ("code", "advice"), [(401, "registry.password"), (403, "registry.username"), (404, "correct the path")]
)
def test_a_registry_that_answers_is_not_to_be_started(code: int, advice: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        def handle(self) -> None:
            self.raw_requestline = self.rfile.readline()
            if self.parse_request():
                self.send_error(code)

        def log_message(self, *_: object) -> None:
            pass

    with serving(HTTPServer(("127.0.0.1", 0), Handler)) as port:
        settings = Settings(registry=RegistrySettings(url=f"http://127.0.0.1:{port}/apis", timeout_s=5))
        found = asked(registry.check(settings))
    assert advice in found.advice
    assert "Start" not in found.advice


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        (b"-WRONGPASS invalid username-password pair or user is disabled.", "the password in redis.url"),
        (b"-NOAUTH Authentication required.", "the password in redis.url"),
        (b"-NOPERM User worker has no permissions to run the 'set' command", "Give the user of redis.url the rights"),
    ],
)
def test_a_redis_that_refuses_is_not_to_be_started(answer: bytes, advice: str) -> None:
    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            while count := self.rfile.readline()[1:]:
                for _ in range(2 * int(count)):  # of each word its length and itself
                    self.rfile.readline()
                self.wfile.write(answer + b"\r\n")

    with serving(TCPServer(("127.0.0.1", 0), Handler)) as port:
        settings = Settings(redis=RedisSettings(url=SecretStr(f"redis://127.0.0.1:{port}/0")))
        found = asked(cache.check(settings, SystemClock()))
    assert advice in found.advice
    assert "Start" not in found.advice


@pytest.mark.parametrize(
    ("code", "advice"), [(KafkaError._AUTHENTICATION, "kafka.sasl_password"), (KafkaError._SSL, "ssl_ca_location")]
)
def test_brokers_that_refuse_a_connection_are_not_to_be_started(code: int, advice: str) -> None:
    assert advice in brokers.check(Settings()).cure(f"kafka does not answer: {KafkaError(code).name()}: refused")
