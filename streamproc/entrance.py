"""The entrance: a worker answers over HTTP before it is even imported, which takes longer than all it then waits for.

Imports little, and has to.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from streamproc.settings import Settings
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.http import Endpoints, listen
from streamproc.telemetry.metrics import Metrics
from streamproc.worker.front import Front


@contextmanager
def open_front(settings: Settings) -> Iterator[Front]:
    """Answer for a worker that is about to be there. Raises UsageError for an address that cannot be had."""
    front = Front(SystemClock(), Metrics(), settings.kafka.group)
    endpoints = Endpoints(
        front.metrics.registry,
        health=front.health,
        ready=front.ready,
        status=front.status,
        started=front.started,
        release=front.release,
    )
    with listen(settings.http, endpoints, "HTTP") as http:
        front.url = f"http://{settings.http.host}:{http.port}"
        yield front
