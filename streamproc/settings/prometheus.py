"""What is set below ``prometheus``."""

from pydantic import SecretStr

from streamproc.kinds import MaybeWebAddress, Positive
from streamproc.settings.section import Section


class PrometheusSettings(Section):
    """The Prometheus that scrapes the workers, for ``streamproc report``."""

    url: MaybeWebAddress = None
    """Where it listens, as in `http://prometheus:9090`. Without it, reports are read from the topics."""
    username: str | None = None
    password: SecretStr | None = None
    timeout_s: Positive = 60
    """For one question; a report asks 13."""
