"""Who a worker is in its group when it begins a commit."""

from typing import NamedTuple


class Membership(NamedTuple):
    """What a source gives and a sink takes back, so that neither commits for what was lost in between."""

    metadata: object
    """The client's own, for a transaction: the broker refuses one that a rebalance has overtaken."""
    departures: int
    """How often partitions had gone away. A commit without a transaction is made under whatever membership the client
    has by then, so the source itself refuses one that was begun before the last departure."""


def known(membership: object) -> Membership:
    """What comes back through the worker, which does not look inside. Raises TypeError for anything else."""
    if not isinstance(membership, Membership):
        raise TypeError(f"a sink needs the membership that its source gave, not {membership!r}")
    return membership
