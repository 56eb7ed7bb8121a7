"""The rule that cuts a long channel into segments, on one flag per window of 32 ms (is there speech in it).

- A segment begins 96 ms before speech does and ends 96 ms after it, once 512 ms of pause have followed.
- What would grow past 14.976 s (468 windows, the most that fit into 15 s) is cut in the middle of the longest pause of
  at least 96 ms in its second half; where nobody pauses, at the limit.
- What holds less than 256 ms of speech is no segment.

Changing any of this changes results: ``SEGMENTATION`` in ``records/identity.py`` names the rule.
"""

from dataclasses import dataclass

from streamproc.arena import SLOT_SAMPLES
from streamproc.audio.voice import WINDOW

PADDING = 3
PAUSE = 16
LEAST_VOICED = 8
MOST = SLOT_SAMPLES // WINDOW
SHORT_PAUSE = 3


@dataclass(frozen=True, slots=True)
class Span:
    """Windows ``start`` up to ``end``, of which ``voiced`` hold speech."""

    start: int
    end: int
    voiced: int


class Cutter:
    """One channel's open stretch of speech."""

    def __init__(self) -> None:
        self._seen = 0
        self._floor = 0  # where the last span ended: padding may not reach behind it
        self._start = 0
        self._flags: list[bool] = []  # of the open stretch; empty between stretches
        self._quiet = 0  # windows without speech at the end of the open stretch

    @property
    def earliest(self) -> int:
        """No later span begins before this window."""
        return self._start if self._flags else max(self._floor, self._seen - PADDING)

    def push(self, *, voiced: bool) -> Span | None:
        """Take the next window; return the span that it ended."""
        if not self._flags and voiced:
            self._start = self.earliest
            self._flags = [False] * (self._seen - self._start)
        self._seen += 1
        if not self._flags and not voiced:
            return None
        self._flags.append(voiced)
        self._quiet = 0 if voiced else self._quiet + 1
        if self._quiet == PAUSE:
            return self._close(len(self._flags) - PAUSE + PADDING)
        if len(self._flags) == MOST:
            return self._close(self._best_cut())
        return None

    def finish(self) -> Span | None:
        """End of the channel; return the span that was open."""
        if not self._flags:
            return None
        return self._close(len(self._flags) - max(0, self._quiet - PADDING))

    def _best_cut(self) -> int:
        """The middle of the longest pause in the second half, the first of equals; the end where there is none."""
        best, best_length, length = MOST, SHORT_PAUSE - 1, 0
        for at in range(MOST // 2, MOST):
            length = 0 if self._flags[at] else length + 1
            if length > best_length:
                best, best_length = at + 1 - length + length // 2, length
        return best

    def _close(self, length: int) -> Span | None:
        """End the span after ``length`` windows; speech behind that opens the next one."""
        span = Span(self._start, self._start + length, sum(self._flags[:length]))
        rest = self._flags[length:]
        self._floor, self._flags = span.end, []
        if any(rest):
            skipped = max(0, rest.index(True) - PADDING)
            self._start, self._flags = span.end + skipped, rest[skipped:]
        return span if span.voiced >= LEAST_VOICED else None
