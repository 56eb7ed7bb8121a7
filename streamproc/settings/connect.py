"""What is set below ``connect``."""

from streamproc.kinds import Count, MaybeWebAddress, Positive, WebAddress
from streamproc.settings.section import Section


class ConnectSettings(Section):
    """Kafka Connect, which brings results to the warehouse."""

    url: WebAddress = "http://127.0.0.1:8083"
    """Where its REST API listens, as in http://connect:8083."""
    timeout_s: Positive = 30
    """For one request, and for a connector to begin."""
    registry_url: MaybeWebAddress = None
    """Where its converters ask Apicurio's own API, as in http://registry:8080/apis/registry/v2; without, it is made of
    ``registry.url``."""
    tasks: Count = 1
    """Of each connector. They share out the topic's partitions; each holds up to two connections to the warehouse."""
