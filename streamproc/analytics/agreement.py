"""What the processes of a group have to agree on: the settings that decide what is in the rows that readers have.

A process with others would write its own sums over theirs, so the group itself refuses it: all members of a Kafka group
share one protocol, and ours has the settings in its name.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from streamproc.settings import Settings

_FORMAT = 4
"""Of a partial, and of what its numbers mean."""
SESSION_S = 10.0
"""After such a silence a member is taken for dead, and what it agreed on binds nobody."""
_LONGEST = 200
"""Characters of a value in a message."""

Agreed = Mapping[str, object]
"""Values that JSON knows, by the names of their settings."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the processes of a group agree on, as one of them says that is in it."""

    group: str
    agreed: Agreed


def summing(settings: Settings) -> Agreed:
    """What partials depend on: those that were told on other terms cannot be summed up with ours."""
    app, topics = settings.analytics, settings.topics
    return {
        "format": _FORMAT,
        "topics.results": topics.results,
        "topics.segments": topics.segments,
        "analytics.attributes": sorted(app.attributes),
        "analytics.most_values": app.most_values,
        "analytics.tumbling_s": app.tumbling_s,
        "analytics.hopping_s": app.hopping_s,
        "analytics.hop_s": app.hop_s,
        "analytics.retention_s": app.retention_s,
        "analytics.ahead_s": app.ahead_s,
        "analytics.negative_labels": sorted(app.negative_labels),
    }


def agreement(settings: Settings) -> Agreement:
    """What a process with these settings says; beside what partials depend on, what is made of them, and where."""
    app, topics = settings.analytics, settings.topics
    written = {
        "topics.partials": topics.partials,
        "topics.trends": topics.trends,
        "topics.alerts": topics.alerts,
        "analytics.alert_share": app.alert_share,
        "analytics.alert_support": app.alert_support,
        "analytics.alert_clear_share": app.alert_clear_share,
    }
    return Agreement(app.group, {**summing(settings), **written})


def digest(agreed: Agreed) -> str:
    """Equal for equal settings."""
    return hashlib.sha256(json.dumps(agreed, sort_keys=True).encode()).hexdigest()[:12]


def protocol(settings: Settings) -> str:
    """The name under which a process joins its group, which takes no member that has another one."""
    return f"streamproc-{digest(agreement(settings).agreed)}"


def differences(there: Agreed, here: Agreed) -> Iterator[str]:
    """What differs, a sentence each."""
    for name in sorted(there.keys() | here.keys()):
        if there.get(name) != here.get(name):
            yield f"{name} is {_shown(there.get(name))} there and {_shown(here.get(name))} here"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
