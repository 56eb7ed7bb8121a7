"""What a process says that its group does not take: which of its settings differ, and what to do."""

import threading
import time

from streamproc.analytics.agreement import SESSION_S, Agreed, agreement, differences, digest, protocol
from streamproc.analytics.desk import Desk
from streamproc.errors import DependencyDownError, Fatal, FatalError, StreamprocError, UsageError
from streamproc.kafka.admin import ask_group
from streamproc.settings import Settings

_HEAR_S = 5.0
"""For what members agree on to be heard: of one that has just joined, too."""
_AGAIN_S = 0.2
_STAY_S = SESSION_S + 2.0
"""A member that is there for so long is not dead."""
_LOOK_S = 1.0
_REMEDY = (
    "Give this process the same. To change them: stop all processes of the group (after a crash the broker takes some "
    "seconds to notice), start them with the new ones. For windows of your own beside these: set another "
    "analytics.group, topics.trends, topics.alerts and topics.partials"
)


def refusal(settings: Settings, desk: Desk, stopping: threading.Event) -> StreamprocError:
    """Why the group refuses a process with these settings; waits a while for its members to say what they have."""
    group, own = settings.analytics.group, agreement(settings).agreed
    try:
        joined_by = _outlasting(settings, group, stopping)
    except DependencyDownError as error:
        return error
    if not joined_by:
        return FatalError(f"the group {group} had processes with other settings, which have gone", Fatal.REFUSED)
    there = _heard(desk, group, joined_by, stopping)
    what = "; ".join(differences(there, own)) if there else "these did not say which: another release, or program?"
    return UsageError(f"the group {group} has processes with other settings: {what}. {_REMEDY}")


def _outlasting(settings: Settings, group: str, stopping: threading.Event) -> str:
    """The name under which members join that are not dead; empty when there are none with other settings.

    A member that died is one for a session more, counted anew where the broker was away, too. Who ended for its sake
    with an exit code that asks for people would not be started again. Raises DependencyDownError.
    """
    until = time.monotonic() + _STAY_S
    while True:
        found = ask_group(settings, group)
        if not found.members or found.protocol == protocol(settings):
            return ""
        if time.monotonic() >= until or stopping.wait(_LOOK_S):
            return found.protocol


def _heard(desk: Desk, group: str, joined_by: str, stopping: threading.Event) -> Agreed | None:
    """What the members agree on, as soon as one of them has said it."""
    until = time.monotonic() + _HEAR_S
    while time.monotonic() < until and not stopping.wait(_AGAIN_S):
        with desk.lock:
            there = desk.agreements.get(group)
        if there is not None and joined_by.endswith(digest(there)):
            return there
    return None
