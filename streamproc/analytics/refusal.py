"""What a process says that its group does not take: which of its settings differ, and what to do."""

import threading
import time

from streamproc.analytics.agreement import Agreed, agreement, differences, digest, protocol
from streamproc.analytics.desk import Desk
from streamproc.errors import DependencyDownError, Fatal, FatalError, StreamprocError, UsageError
from streamproc.kafka.admin import ask_group
from streamproc.settings import Settings

_HEAR_S = 5.0
"""For what members agree on to be heard: of one that has just joined, too."""
_AGAIN_S = 0.2
_REMEDY = (
    "Give this process the same. To change them: stop all processes of the group (after a crash the broker takes some "
    "seconds to notice), run `streamproc analytics rebuild` with the new ones, start all. For windows of your own "
    "beside these: set another analytics.group, topics.trends, topics.alerts and topics.partials"
)


def refusal(settings: Settings, desk: Desk, stopping: threading.Event) -> StreamprocError:
    """Why the group refuses a process with these settings; waits a while for its members to say what they have."""
    group, own = settings.analytics.group, agreement(settings).agreed
    try:
        found = ask_group(settings, group)
    except DependencyDownError as error:
        return error
    if found.protocol in ("", protocol(settings)):
        return FatalError(f"the group {group} had processes with other settings, which have gone", Fatal.REFUSED)
    there = _heard(desk, group, found.protocol, stopping)
    what = "; ".join(differences(there, own)) if there else "these did not say which: another release, or program?"
    return UsageError(f"the group {group} has processes with other settings: {what}. {_REMEDY}")


def _heard(desk: Desk, group: str, joined_by: str, stopping: threading.Event) -> Agreed | None:
    """What the members agree on, as soon as one of them has said it."""
    until = time.monotonic() + _HEAR_S
    while time.monotonic() < until and not stopping.wait(_AGAIN_S):
        with desk.lock:
            there = desk.agreements.get(group)
        if there is not None and joined_by.endswith(digest(there)):
            return there
    return None
