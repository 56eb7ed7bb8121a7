"""What is set below ``kafka``."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr

from streamproc.kinds import Name, Number, Positive
from streamproc.settings.section import Section


class KafkaSettings(Section):
    """The broker, the group and the way results are delivered."""

    bootstrap_servers: Name = "127.0.0.1:9092"
    """Brokers to begin with, as in kafka-1:9092,kafka-2:9092."""
    group: Name = "streamproc-emotion"
    """The consumer group: workers with the same name share the recordings."""
    group_protocol: Literal["consumer", "classic"] = "consumer"
    """``consumer`` is KIP-848's, ``classic`` the one before."""
    delivery: Literal["exactly_once", "at_least_once"] = "exactly_once"
    """With ``at_least_once`` a crash can write rows twice."""
    transactional_prefix: Name = "streamproc"
    """Begins each worker's transactional id; the cluster's other groups need other ones."""
    slot: Annotated[Number | None, Field(description="a whole number, at least 0")] = None
    """Worker slot; None takes the StatefulSet ordinal from the host name, else the lowest free file lock."""
    security_protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = "plaintext"
    sasl_mechanism: str | None = None
    """As in PLAIN, SCRAM-SHA-256, SCRAM-SHA-512."""
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_location: Path | None = None
    """Certificates of the authorities that are trusted, in PEM; often found without."""
    transaction_timeout_s: Positive = 30
    """The longest time for one commit. With ``at_least_once``, which has no transactions, for writing its rows."""
    max_poll_interval_s: Positive = 300
    """The longest silence of the polling thread before the group takes its partitions away."""
    session_timeout_s: Positive = 6
    """Used by the classic protocol; with ``consumer`` it is the broker's setting and this is what we expect of it."""
