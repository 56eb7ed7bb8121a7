"""Traces: their library, which is an extra."""

from importlib import import_module

from streamproc.operate.doctor.check import Check
from streamproc.operate.doctor.finding import Finding, well, wrong
from streamproc.settings import Settings, without_credentials

_LIBRARY = "streamproc.telemetry.spans"
"""What a worker imports where traces are on."""


def check(settings: Settings) -> Check:
    """Whether a worker could make them. Nothing is sent: a collector that is away holds no worker up."""
    return Check(
        "traces",
        "Where trace.endpoint is set, is OpenTelemetry installed?",
        lambda: _look(settings),
        "Take trace.endpoint out, which runs without traces.",
    )


def _look(settings: Settings) -> Finding:
    endpoint = settings.trace.endpoint
    if endpoint is None:
        return well("off: trace.endpoint is not set")
    try:
        import_module(_LIBRARY)
    except ImportError as error:
        return wrong(
            f"trace.endpoint is set, and OpenTelemetry is not installed ({error}): no worker starts",
            "Run `pip install 'streamproc[otel]'`, or take trace.endpoint out.",
        )
    return well(f"on: {settings.trace.share:g} of what no caller traces goes to {without_credentials(endpoint)}")
