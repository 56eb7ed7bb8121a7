"""Windows of event time, and the buckets that they are made of."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import Literal

from streamproc.settings import AnalyticsSettings

Kind = Literal["tumbling", "hopping"]
KINDS: tuple[Kind, ...] = ("tumbling", "hopping")


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of one kind: they begin at each multiple of ``hop_ms`` since the epoch and are ``size_ms`` long."""

    kind: Kind
    size_ms: int
    hop_ms: int

    def over(self, at_ms: int) -> Iterator[int]:
        """The begin of each window that a moment lies in, in order."""
        last = at_ms - at_ms % self.hop_ms
        first = last - (self.size_ms // self.hop_ms - 1) * self.hop_ms
        yield from range(first, last + 1, self.hop_ms)

    def current(self, at_ms: int) -> int:
        """The begin of the window that a moment lies in; of several, the one that has begun first."""
        return next(self.over(at_ms))


@dataclass(frozen=True, slots=True)
class Calendar:
    """How time is divided, and how long what is kept of it."""

    windows: tuple[Windows, ...]
    bucket_ms: int
    """Every window is made of whole buckets."""
    retention_ms: int

    def bucket(self, at_ms: int) -> int:
        """The begin of the bucket that a moment lies in."""
        return at_ms - at_ms % self.bucket_ms

    def buckets(self, windows: Windows, start: int) -> range:
        """The begins of a window's buckets."""
        return range(start, start + windows.size_ms, self.bucket_ms)

    def kept_until(self, bucket: int) -> int:
        """When nothing needs the bucket any more: its last window is over, and its retention too."""
        return max(bucket - bucket % w.hop_ms + w.size_ms for w in self.windows) + self.retention_ms

    def kept_from(self, watermark: int) -> int:
        """No bucket that begins before is needed any more."""
        return self.bucket(watermark - self.longest_ms - self.retention_ms)

    @property
    def longest_ms(self) -> int:
        """Of all windows."""
        return max(windows.size_ms for windows in self.windows)

    def live(self, windows: Windows, start: int, watermark: int) -> bool:
        """Whether a window is still kept and corrected."""
        return start + windows.size_ms + self.retention_ms > watermark


def calendar(settings: AnalyticsSettings) -> Calendar:
    """The calendar of the settings."""
    tumbling = Windows("tumbling", settings.tumbling_s * 1000, settings.tumbling_s * 1000)
    hopping = Windows("hopping", settings.hopping_s * 1000, settings.hop_s * 1000)
    bucket_s = gcd(settings.tumbling_s, settings.hopping_s, settings.hop_s)
    return Calendar((tumbling, hopping), bucket_s * 1000, settings.retention_s * 1000)
