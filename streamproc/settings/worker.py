"""What is set below ``worker``."""

from streamproc.kinds import Positive
from streamproc.settings.section import Section


class WorkerSettings(Section):
    """A worker as a process."""

    start_wait_s: Positive = 60
    """How long a starting worker waits for brokers and registry. Once it works it waits for what goes away."""
    stuck_s: Positive = 60
    """A thread that is at one thing for so long, past all its time-outs, is stuck: the process ends (exit code 4)."""
