"""Every metric of the analytics app: one closed list, as ``streamproc.telemetry.metrics`` is for workers."""

from streamproc.analytics.view import LEFT_OUT
from streamproc.telemetry.families import PREFIX, Definition

_PREFIX = f"{PREFIX}analytics_"

ROWS = Definition(f"{_PREFIX}rows_total", "counter", "", {}, "Rows that this process took.")
PARTITIONS = Definition(f"{_PREFIX}partitions", "gauge", "", {}, "Held by this process.")
READY = Definition(f"{_PREFIX}ready", "gauge", "", {}, "1 while all that is kept is read and no server is waited for.")
WATERMARK_AGE = Definition(
    f"{_PREFIX}watermark_age_seconds", "gauge", "seconds", {}, "Since the latest recording began; 0 before one."
)
TOLD_AGE = Definition(
    f"{_PREFIX}told_age_seconds",
    "gauge",
    "seconds",
    {},
    "Since the others last heard all that this process knows, or it all that they told, whichever is longer ago.",
)
LEFT_OUT_ROWS = Definition(
    f"{_PREFIX}left_out", "gauge", "", {"why": LEFT_OUT}, "Rows that are in no window, of all partitions."
)

METRICS = (ROWS, PARTITIONS, READY, WATERMARK_AGE, TOLD_AGE, LEFT_OUT_ROWS)
"""In the order in which they are shown."""
