"""What is set below ``trace``."""

from streamproc.kinds import MaybeWebAddress, Share
from streamproc.settings.section import Section


class TraceSettings(Section):
    """Traces by OpenTelemetry."""

    endpoint: MaybeWebAddress = None
    """Where traces go, by OTLP over HTTP, as in `http://127.0.0.1:4318/v1/traces`. Without it there are none."""
    share: Share = 0.1
    """Of records that no caller traces, and of micro-batches. A caller's own decision is followed."""
