"""The windows that are alarming now, kept up as windows change: who asks does not wait for a look at all of them."""

from collections.abc import Iterable

from streamproc.analytics.emission import ALERTING
from streamproc.analytics.observation import Key
from streamproc.analytics.trend import Rule, build_trend
from streamproc.analytics.view import Window


class Alarms:
    """Used under the lock of the view whose windows these are."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._windows: dict[tuple[Key, int], Window] = {}

    def update(self, changed: Iterable[Window], before_ms: int) -> None:
        """Take windows that changed, and let go of those that ended at ``before_ms`` or before."""
        for window in changed:
            if window.kind != ALERTING:
                continue
            place = window.key, window.start
            if self._rule.alarming(build_trend(window, self._rule.negative, 0)):
                self._windows[place] = window
            else:
                self._windows.pop(place, None)
        self._windows = {place: window for place, window in self._windows.items() if window.end > before_ms}

    def latest(self) -> list[Window]:
        """All of them, the latest first, in order of their keys where they begin together."""
        return sorted(self._windows.values(), key=lambda window: (-window.start, window.key))
