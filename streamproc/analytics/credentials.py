"""Who we are, in Faust's words."""

import ssl

import faust
from faust.auth import Credentials

from streamproc.settings import KafkaSettings


def credentials(kafka: KafkaSettings) -> Credentials | None:
    """What Faust gives its client; None without any."""
    encrypted = kafka.security_protocol in {"ssl", "sasl_ssl"}
    context = ssl.create_default_context(cafile=kafka.ssl_ca_location) if encrypted else None
    if kafka.sasl_username is not None and kafka.sasl_password is not None:
        return faust.SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password.get_secret_value(),
            ssl_context=context,
            mechanism=kafka.sasl_mechanism,
        )
    return None if context is None else faust.SSLCredentials(context)
