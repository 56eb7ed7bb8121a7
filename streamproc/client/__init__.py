"""What upstream platforms use: store a recording and announce it."""

from streamproc.client.recordings import RecordingClient

__all__ = ["RecordingClient"]
