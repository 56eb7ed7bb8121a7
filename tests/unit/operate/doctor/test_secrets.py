import json
from dataclasses import asdict

from pydantic import SecretStr

from streamproc.operate.doctor.checks import checks
from streamproc.operate.doctor.examine import examine
from streamproc.operate.doctor.finding import Verdict
from streamproc.settings import (
    ConnectSettings,
    KafkaSettings,
    RedisSettings,
    RegistrySettings,
    Settings,
    StorageSettings,
    WarehouseSettings,
)
from streamproc.telemetry.clock import SystemClock

SECRET = "hunter-2"
AWAY = "127.0.0.1:1"
ON_SERVERS = ("brokers", "takeover", "topics", "rights", "registry", "store", "redis", "clock", "connect", "warehouse")


def test_no_secret_is_told_of_servers_that_are_away() -> None:
    hidden = SecretStr(SECRET)
    sasl = {"security_protocol": "sasl_plaintext", "sasl_mechanism": "PLAIN", "sasl_username": "me"}
    settings = Settings(
        kafka=KafkaSettings.model_validate({"bootstrap_servers": AWAY, "sasl_password": hidden, **sasl}),
        registry=RegistrySettings(url=f"http://me:{SECRET}@{AWAY}", username="me", password=hidden, timeout_s=0.2),
        redis=RedisSettings(url=SecretStr(f"redis://me:{SECRET}@{AWAY}/0")),
        storage=StorageSettings(endpoint=f"http://{AWAY}", access_key=hidden, secret_key=hidden),
        connect=ConnectSettings(url=f"http://me:{SECRET}@{AWAY}", registry_url=f"http://{AWAY}/apis/registry/v2"),
        warehouse=WarehouseSettings(address=AWAY, password=hidden),
    )
    asked = [one for one in checks(settings, SystemClock(), {}, None) if one.name in ON_SERVERS]
    found = list(examine(asked))
    assert [one.check for one in found if one.verdict is Verdict.WELL] == []
    assert SECRET not in json.dumps([asdict(one) for one in found])
