from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from pydantic import SecretStr

from streamproc.errors import UsageError
from streamproc.kafka.config import build, client_config, consumer_config, producer_config, transactional_config
from streamproc.settings import KafkaSettings, Settings

SECRET = "s3cr3t-canary"


def with_kafka(**changes: object) -> Settings:
    return Settings(kafka=KafkaSettings.model_validate({"bootstrap_servers": "127.0.0.1:1"} | changes))


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_librdkafka_takes_the_consumer_of_each_protocol(protocol: str) -> None:
    config = consumer_config(with_kafka(group_protocol=protocol))
    Consumer(config).close()
    assert ("session.timeout.ms" in config) is (protocol == "classic")
    assert config["auto.offset.reset"] == "error"
    assert config["enable.auto.commit"] is False


def test_librdkafka_takes_both_producers() -> None:
    Producer(producer_config(with_kafka()))
    config = transactional_config(with_kafka(transactional_prefix="p"), 4)
    Producer(config)
    assert config["transactional.id"] == "p-4"


def test_security_is_passed_on(tmp_path: Path) -> None:
    config = client_config(
        with_kafka(
            security_protocol="sasl_ssl",
            sasl_mechanism="SCRAM-SHA-512",
            sasl_username="u",
            sasl_password=SecretStr(SECRET),
            ssl_ca_location=tmp_path / "ca.pem",
        )
    )
    assert config["sasl.password"] == SECRET
    assert config["security.protocol"] == "sasl_ssl"
    assert config["ssl.ca.location"] == str(tmp_path / "ca.pem")


def test_no_secret_is_shown() -> None:
    config = producer_config(with_kafka(sasl_username="u", sasl_password=SecretStr(SECRET)))
    assert SECRET in config.values()
    for shown in (repr(config), str(config), f"{config}"):
        assert SECRET not in shown
        assert "sasl.password" in shown


def test_settings_that_the_client_refuses_are_wrong_use_without_the_password() -> None:
    kafka = KafkaSettings(
        security_protocol="sasl_ssl", sasl_mechanism="MAGIC", sasl_username="u", sasl_password=SecretStr("hush")
    )
    with pytest.raises(UsageError, match="refuses its settings") as caught:
        build(Producer, producer_config(Settings(kafka=kafka)))
    assert "hush" not in str(caught.value)
