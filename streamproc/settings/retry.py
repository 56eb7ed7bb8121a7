"""What is set below ``retry``."""

from typing import Literal

from streamproc.kinds import Count, Delays
from streamproc.settings.section import Section


class RetrySettings(Section):
    """What becomes of a record that fails for now."""

    order: Literal["lanes", "strict"] = "lanes"
    """With ``strict`` it is tried again in place, so that outputs of one key keep the input's order without exception;
    what shares its micro-batch, and what comes behind, waits for it."""
    delays_s: Delays = (10, 300)
    """How long a record waits on the first lane, and on the second: two delays, ascending, a day at most. With
    ``strict`` waits double from the first to the second."""
    attempts_per_lane: Count = 3
    """How often a record tries each lane before it moves on; with ``strict`` it is tried as often in all."""
