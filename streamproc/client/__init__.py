"""What upstream platforms use: store a recording and announce it."""

import streamproc.telemetry.voice  # noqa: F401  # sets up what nobody did: at the import, not with the first warning
from streamproc.client.recordings import RecordingClient

__all__ = ["RecordingClient"]
