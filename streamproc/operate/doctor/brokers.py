"""The brokers: each of the settings, and the cluster behind them."""

import socket
from contextlib import suppress

from streamproc.kafka.preflight import Preflight
from streamproc.operate.doctor.check import ANSWER_S, Check, unknown_host
from streamproc.operate.doctor.finding import Finding, doubtful, well, wrong
from streamproc.operate.doctor.wire import wire_of_brokers
from streamproc.settings import Settings


def check(settings: Settings) -> Check:
    """Reachable at all, and by every address."""
    return Check(
        "brokers",
        "Does every address of kafka.bootstrap_servers answer?",
        lambda: _look(settings),
        "Start the brokers, or set kafka.bootstrap_servers (and kafka.security_protocol, kafka.sasl_*) to theirs.",
        cures=(
            ("_AUTHENTICATION", "Correct kafka.sasl_mechanism, kafka.sasl_username and kafka.sasl_password."),
            ("_SSL", "Correct kafka.security_protocol and kafka.ssl_ca_location."),
            *unknown_host("kafka.bootstrap_servers"),
        ),
        wire=wire_of_brokers(settings.kafka.bootstrap_servers, settings.kafka.security_protocol),
    )


def _look(settings: Settings) -> Finding:
    kafka = settings.kafka
    cluster = Preflight(settings, ANSWER_S).cluster()
    said = f"{len(cluster.brokers)} in the cluster: {', '.join(cluster.brokers)}"
    if cluster.limits is not None and cluster.limits.longest_transaction_s < kafka.transaction_timeout_s:
        return wrong(
            f"they take transactions of {cluster.limits.longest_transaction_s:g} s at most, and "
            f"kafka.transaction_timeout_s={kafka.transaction_timeout_s:g}",
            "Lower it, or raise the brokers' transaction.max.timeout.ms.",
        )
    silent = [one for one in kafka.bootstrap_servers.split(",") if not _connects(one.strip())]
    if silent:
        return doubtful(
            f"{said}; nobody listens at {', '.join(silent)}",
            "Take them out of kafka.bootstrap_servers, or start them: a worker that starts while the others are away "
            "has nobody to ask.",
        )
    return well(said)


def _connects(address: str) -> bool:
    host, _, port = address.rpartition("://")[2].rpartition(":")
    with suppress(OSError, ValueError), socket.create_connection((host.strip("[]"), int(port)), ANSWER_S):
        return True
    return False
