"""How long others wait for the partitions of a worker that died, or that lets go of them."""

from streamproc.settings.settings import Settings

ASSIGNMENT_S = 5.0
"""For the assignment itself."""
OVERDUE_S = 10.0
"""How often a broker looks for overdue transactions, unless it is told otherwise
(``transaction.abort.timed.out.transaction.cleanup.interval.ms``)."""
HEARTBEATS = 4
"""In a session at least: the classic client is told so, a broker is expected to ask for no fewer."""


def takeover_s(settings: Settings) -> float:
    """Seconds after which another worker has gone on with what one had that died: G7's bound.

    Two waits, side by side. The group misses the dead one when its session is over, and tells the others by a
    heartbeat. What it had in a transaction is decided when the broker finds that it is overdue, or at once when a
    worker comes back under its slot. With the ``consumer`` protocol the session is the broker's: this holds when
    ``kafka.session_timeout_s`` says what the broker has.
    """
    kafka = settings.kafka
    missed_s = kafka.session_timeout_s + heartbeat_s(settings)
    undecided_s = kafka.transaction_timeout_s + OVERDUE_S if kafka.delivery == "exactly_once" else 0.0
    return max(missed_s, undecided_s) + ASSIGNMENT_S


def handover_s(settings: Settings) -> float:
    """Seconds after which another worker has gone on with a partition that its owner lets go of.

    Both hear of it by a heartbeat, and each may have no room just then, so that it does not poll; the old one drains.
    """
    flow = settings.flow
    unheard_s = heartbeat_s(settings) + flow.pause_after_s + flow.linger_s
    return flow.drain_s + 2 * unheard_s + ASSIGNMENT_S


def heartbeat_s(settings: Settings) -> float:
    """The longest time between two heartbeats of a member (s)."""
    return settings.kafka.session_timeout_s / HEARTBEATS
