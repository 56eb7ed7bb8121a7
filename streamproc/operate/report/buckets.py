"""Times from the buckets of a histogram: the mean is exact, the rest lies somewhere in its bucket."""

import math
from collections.abc import Mapping
from itertools import pairwise

from streamproc.operate.report.period import Spread


def spread(buckets: Mapping[float, float], total_s: float) -> Spread | None:
    """``buckets`` has how many took at most each bound (s), the last of which is infinite; None where none did.

    Within a bucket linear, as Prometheus' ``histogram_quantile``; past the last bound that bound.
    """
    bounds = sorted(buckets)
    count = buckets[bounds[-1]] if bounds else 0.0
    if count <= 0:
        return None
    return Spread(total_s / count, *(_quantile(buckets, bounds, share * count) for share in (0.5, 0.95, 0.99)))


def _quantile(buckets: Mapping[float, float], bounds: list[float], rank: float) -> float:
    low, high = next(pair for pair in pairwise([0.0, *bounds]) if buckets[pair[1]] >= rank)
    if math.isinf(high):
        return low
    below = buckets.get(low, 0.0)
    return low + (high - low) * (rank - below) / (buckets[high] - below)
