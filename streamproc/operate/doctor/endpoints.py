"""The address of a worker's own endpoints, which no two processes can have."""

import errno
from contextlib import closing
from wsgiref.types import StartResponse, WSGIEnvironment

from httpx2 import TimeoutException

from streamproc.errors import DependencyDownError
from streamproc.operate.doctor.check import Check
from streamproc.operate.doctor.finding import Finding, well, wrong
from streamproc.operate.endpoint import ask, local_worker
from streamproc.settings import Settings
from streamproc.telemetry.http import HttpServer, remedy

SECTION = "HTTP"


def check(settings: Settings) -> Check:
    """It is taken for a moment, as a worker would, and asked where somebody has it."""
    return Check(
        "http",
        "Is http.host:http.port free for a worker, or has one of this group got it already?",
        lambda: _look(settings),
        "Set http.host to an address of this computer, and http.port to a free one.",
    )


def _look(settings: Settings) -> Finding:
    http = settings.http
    where = f"{http.host}:{http.port}"
    try:
        with closing(HttpServer(http, _nobody)):
            return well(f"{where} is free" if http.port else "http.port is 0: a worker takes a free one and logs it")
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return wrong(f"{where} cannot be listened on: {error.strerror}", f"{remedy(error, SECTION)}.")
        return _taken(settings, f"{remedy(error, SECTION)}.")


def _taken(settings: Settings, advice: str) -> Finding:
    worker = local_worker(settings.http)
    try:
        said = ask("GET", worker, "/status")
    except DependencyDownError as error:
        if isinstance(error.__cause__, TimeoutException):
            silent = f"what listens on {worker} does not answer: a worker that hangs, or another program"
            return wrong(silent, f"End it, if it is a worker that hangs. Else: {advice}")
        return wrong(f"another program listens on {worker}", advice)
    if said.get("group") != settings.kafka.group:
        of = f"a worker of group {said['group']}" if said.get("group") else "another program"
        return wrong(f"{of} has {worker}, and kafka.group is {settings.kafka.group}", advice)
    return well(
        f"a worker of this group has {worker}: it is {said.get('state')}",
        "one more on this computer needs a STREAMPROC_HTTP__PORT of its own",
    )


def _nobody(_environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """What is answered in the moment that it is taken for."""
    start_response("503 Service Unavailable", [])
    return []
