"""Results whose partition lags so far behind another that their windows were over before they were read."""

from collections import Counter, defaultdict


class Overtaken:
    """Counts them, by partition, since this process began to read: their own fold took them, and no window has them."""

    def __init__(self) -> None:
        self._known: dict[int, dict[int, int]] = defaultdict(dict)
        self._count: Counter[int] = Counter()

    def close(self, partition: int, start: int, results: int) -> None:
        """A bucket is over, for a partition that may not have come as far; these were in its windows."""
        self._known[partition][start] = results

    def refuse(self, partition: int, start: int, results: int) -> None:
        """So many results are now in a bucket that is over."""
        known = self._known[partition]
        self._count[partition] += max(0, results - known.get(start, 0))
        known[start] = max(results, known.get(start, 0))

    def reach(self, partition: int, start: int) -> None:
        """The partition says nothing more of buckets that begin before."""
        self._known[partition] = {at: results for at, results in self._known[partition].items() if at >= start}

    def count(self, partition: int) -> int:
        """How many of a partition."""
        return self._count[partition]
