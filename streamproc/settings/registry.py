"""What is set below ``registry``."""

from pydantic import SecretStr

from streamproc.kinds import Positive, WebAddress
from streamproc.settings.section import Section


class RegistrySettings(Section):
    """The schema registry (Confluent API)."""

    url: WebAddress = "http://127.0.0.1:8081"
    """Where it listens, as in http://registry:8081."""
    username: str | None = None
    password: SecretStr | None = None
    timeout_s: Positive = 5
    """For one request; it is made twice."""
