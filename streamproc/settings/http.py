"""What is set below ``http``."""

from streamproc.kinds import Port
from streamproc.settings.section import Section


class HttpSettings(Section):
    """The worker's own endpoints: /metrics /healthz /readyz /startupz /status, and POST /brake/release."""

    host: str = "127.0.0.1"
    """Where it listens; 0.0.0.0 for every interface."""
    port: Port = 9464
    """0 takes a free one, which the log names."""
