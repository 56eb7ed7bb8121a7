"""What the worker and its device process say to each other."""

from dataclasses import dataclass

from streamproc.arena import Lease
from streamproc.records.identity import ModelIdentity


@dataclass(frozen=True, slots=True)
class SegmentHandle:
    """A waveform in the arena."""

    lease: Lease
    samples: int
    embedding: bool = False
    """Whether its embedding is wanted as well."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What one item of a compute batch came to."""

    scores: tuple[float, ...]
    """Shares of the labels, in their order; they sum to 1."""
    embedding: bytes = b""
    """``ModelIdentity.embed_dim`` numbers, packed (``records.embedding``). Empty of an analyzer that has none, and from
    the device for an item of which it is not wanted."""


@dataclass(frozen=True, slots=True)
class ItemError:
    """Why one item of a compute batch has no value; its neighbours have theirs."""

    message: str


@dataclass(frozen=True, slots=True)
class DeviceReady:
    """The network is loaded and warm."""

    identity: ModelIdentity


@dataclass(frozen=True, slots=True)
class BatchDone:
    """One value or one error per item, in the order of the batch."""

    batch: int
    items: tuple[Scored | ItemError, ...]
    seconds: float
    padding: int = 0
    """Samples that were computed for nothing, since the passes of a batch are as long as their longest item."""


@dataclass(frozen=True, slots=True)
class DeviceDied:
    """The process ended; ``batches`` were on it and must be submitted again. It is being replaced."""

    batches: tuple[int, ...]
    detail: str
    blameless: bool = False
    """It said by its status that it could not go on: no item of it is to blame, though it be the only one."""


DeviceEvent = DeviceReady | BatchDone | DeviceDied
