"""Which segments run together on the device."""

from collections.abc import Callable, Sequence

LENGTH_RATIO = 1.25
"""Segments of one compute batch differ in length by at most this factor.

How much of it may be padding is for the device to say, which cuts a batch into passes (``records.profile``): a batch is
a net that brings in several passes' worth, for those have to fill.
"""


def choose(lengths: Sequence[int], most_items: Callable[[int], int]) -> list[int]:
    """Places of the segments for the next compute batch, given lengths (samples) in the order of their age.

    The oldest is always in, so that the oldest micro-batch never waits for a fuller batch; then, oldest first, those
    of similar length, up to ``most_items(longest)``.
    """
    if not lengths:
        return []
    chosen = [0]
    shortest = longest = lengths[0]
    for place in range(1, len(lengths)):
        low, high = min(shortest, lengths[place]), max(longest, lengths[place])
        if high <= LENGTH_RATIO * low:
            if len(chosen) + 1 > most_items(high):
                break
            chosen.append(place)
            shortest, longest = low, high
    return chosen
