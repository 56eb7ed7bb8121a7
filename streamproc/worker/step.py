"""The steps of a start, and what a worker says of itself while there is nothing else to say.

Read before all else (``streamproc.doorstep``): imports little, and has to.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Step(StrEnum):
    """What a worker that starts waits for, in this order."""

    IMPORTS = "its own code to be read"
    BROKER = "the broker"
    REGISTRY = "the registry"
    NETWORK = "the network to load"
    SLOT = "the broker to give it its slot"
    PARTITIONS = "partitions of the group"


STARTING = "starting"
"""The state, before there is a runtime to ask."""
NOTHING_YET: Mapping[str, object] = MappingProxyType(
    {
        "slot": None,
        "model": None,
        "weights_sha256": None,
        "sandbox": None,
        "partitions": (),
        "in_flight": {},
        "brake": {},
    }
)
"""What a runtime says of itself, before there is one: whoever asks need not know."""


def waiting(step: Step, waited_s: float) -> Mapping[str, object]:
    """What is waited for, how much of the start is behind it (of its steps, in percent), and for how many seconds."""
    steps = list(Step)
    return {"waits_for": str(step), "percent": 100 * steps.index(step) // len(steps), "seconds": round(waited_s, 3)}
