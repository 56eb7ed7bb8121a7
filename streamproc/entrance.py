"""The entrance: a worker answers over HTTP before it is even imported, which takes longer than all it then waits for.

Imports little, and has to; what answers until this is read is the doorstep (``streamproc.doorstep``).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from streamproc.doorstep import Doorstep
from streamproc.settings import Settings
from streamproc.telemetry.clock import SystemClock
from streamproc.telemetry.http import Endpoints, listen
from streamproc.telemetry.metrics import Metrics
from streamproc.worker.front import Front


@contextmanager
def open_front(settings: Settings, doorstep: Doorstep | None = None) -> Iterator[Front]:
    """Answer for a worker that is about to be there, in place of a doorstep that has answered until now.

    Raises UsageError for an address that cannot be had.
    """
    began = doorstep.began if doorstep else None
    front = Front(SystemClock(), Metrics(), settings.kafka.group, began)
    endpoints = Endpoints(
        front.metrics.registry,
        health=front.health,
        ready=front.ready,
        status=front.status,
        started=front.started,
        release=front.release,
    )
    listening = doorstep.hand_over(settings.http.host, settings.http.port) if doorstep else None
    with listen(settings.http, endpoints, "HTTP", listening) as http:
        front.url = f"http://{settings.http.host}:{http.port}"
        yield front
