"""What the stages need of the world. Rooms and fakes satisfy these by shape; ``wiring`` lets mypy check it.

Stages never block. What may take time is given to ``Calls`` (a function to run elsewhere) or is a port of its own
with ``submit`` and ``take`` (decoders, device). The runtime implements them with threads and processes, the
simulator with a seed.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Generic, Protocol, TypeVar

from streamproc.arena import Lease
from streamproc.records.analysis import Analysis
from streamproc.records.compute import DeviceEvent, SegmentHandle
from streamproc.records.decoding import DecodeJob, DecoderEvent
from streamproc.records.finished import FinishedSegment
from streamproc.records.ledger import LedgerEntry
from streamproc.records.record import CommitOffset, OutputRecord, Record, TopicPartition
from streamproc.records.recording import RecordingEvent
from streamproc.records.result import EmotionResult
from streamproc.records.segment import EmotionSegment
from streamproc.records.stored import StoredObject, Tags

K = TypeVar("K")
V = TypeVar("V")

SpanValues = Mapping[str, str | int]


class Calls(Protocol, Generic[K, V]):
    """Functions that run elsewhere; each ends in exactly one taken answer."""

    def submit(self, key: K, call: Callable[[], V]) -> None:
        """Start ``call`` elsewhere. Never blocks."""
        ...

    def take(self) -> Sequence[tuple[K, V | Exception]]:
        """Answers since the last take, each once: a value or the exception that the call raised."""
        ...


# --- Kafka -----------------------------------------------------------------------------------------------------------


class Assignments(Protocol):
    """Told by the source, on the thread that polls, what it owns; and by others that they wait for that thread."""

    def assigned(self, starts: Mapping[TopicPartition, CommitOffset]) -> None:
        """These partitions are ours from these offsets on; a new epoch for each begins."""
        ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """These go to somebody else once this returns; may wait inside the drain budget."""
        ...

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """These are somebody else's already; must not wait."""
        ...

    def asked(self) -> None:
        """Somebody waits for the next ``poll`` or ``serve``. From any thread; must not wait."""
        ...


class Source(Protocol):
    """The input topics, as one member of the group. Only the polling thread calls it, but for ``group_metadata``."""

    def poll(self, most: int, timeout_s: float) -> Sequence[Record]:
        """Up to ``most`` records, whatever arrived within ``timeout_s``. Runs the assignment callbacks.

        Raises FatalError when the group or the offsets are beyond repair, naming what was lost.
        """
        ...

    @property
    def trouble(self) -> str | None:
        """What keeps records from coming just now; None when nothing does."""
        ...

    @property
    def drained(self) -> Mapping[TopicPartition, int]:
        """Where partitions ended whose last record was taken, marks of transactions included. Safe from any thread."""
        ...

    def pause(self, partitions: frozenset[TopicPartition]) -> None:
        """Make exactly this set paused, of those owned; re-applied after each assignment."""
        ...

    def serve(self) -> None:
        """Do what other threads asked of the consumer; for the polling thread, while it waits in a callback."""
        ...

    def group_metadata(self) -> object:
        """The member's identity for a transaction. Safe from any thread."""
        ...

    def close(self) -> None:
        """Leave the group; revokes what is owned."""
        ...


class Newest(Protocol):
    """Looks at the end of a topic beside the group. Blocking; called through ``Calls``."""

    def read(self, topic: str, partitions: Collection[TopicPartition]) -> Sequence[Record]:
        """The last committed record of each of these partitions of ``topic`` that has one; of all when none is given.

        Raises DependencyDownError.
        """
        ...


class Ends(Protocol):
    """Knows where topics end. Blocking; called through ``Calls``."""

    def read(self, partitions: Collection[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Where each ends, marks of transactions included. Raises DependencyDownError."""
        ...


class Sink(Protocol):
    """Where outcomes are written. Only the commit thread calls it."""

    def open(self) -> None:
        """Fence our predecessor. Raises FatalError; DependencyDownError while no broker answers."""
        ...

    def commit(self, outputs: Sequence[OutputRecord], offsets: Sequence[CommitOffset], group_metadata: object) -> None:
        """Make outputs and offsets visible together; returns only when they are.

        Raises AbortedError when nothing of it became visible and it may be tried again, FatalError when its fate is
        unknown or this producer was fenced.
        """
        ...

    def close(self) -> None:
        """Flush nothing, drop the connection."""
        ...


class EventCodec(Protocol):
    """Avro of the input topic."""

    def known(self, value: bytes) -> bool:
        """Whether ``decode`` can answer without asking the registry; a ``resolve`` elsewhere can change it at once."""
        ...

    def resolve(self, value: bytes) -> None:
        """Ask the registry for the value's schema; blocks. Raises DependencyDownError; unknown ids are remembered."""
        ...

    def decode(self, value: bytes) -> RecordingEvent:
        """Raise PoisonError(avro_invalid, schema_unknown or event_invalid) for what is not an event of this topic.

        Raises UnresolvedError when the registry has to be asked (first, or again: refusals are forgotten).
        """
        ...


class RowCodec(Protocol):
    """Avro of the output topics, in the registry's wire format."""

    def encode(self, row: EmotionResult | EmotionSegment | LedgerEntry) -> bytes:
        """Encode a row for its topic. Raises PoisonError(avro_invalid) for one that no topic would take."""
        ...


# --- storage and tiers -----------------------------------------------------------------------------------------------


class ObjectStore(Protocol):
    """Blocking; called through ``Calls``."""

    def get(self, bucket: str, key: str, version_id: str | None, most: int) -> StoredObject:
        """Fetch a whole object of at most ``most`` bytes. Raises StoreError."""
        ...

    def tags(self, bucket: str, key: str, version_id: str | None) -> Tags:
        """What the store calls an object's bytes just now, by HEAD. Raises StoreError."""
        ...

    def put(self, bucket: str, key: str, body: bytes, content_type: str, /) -> object:
        """Store an object. Raises StoreError."""
        ...

    def probe(self) -> None:
        """The canary: HEAD of the bucket. Raises StoreError when the store cannot be used at all."""
        ...


class NearTier(Protocol):
    """The tier in this process's memory. Never blocks; used by one thread."""

    def get(self, key: str) -> Analysis | None:
        """What is known of this content key."""
        ...

    def put(self, key: str, analysis: Analysis) -> None:
        """Remember, within the tier's own bound."""
        ...


class NearAliases(Protocol):
    """Which bytes aliases stand for, as far as this process knows. Never blocks; used by one thread."""

    def get(self, name: str) -> str | None:
        """The SHA-256 that an alias stands for."""
        ...

    def put(self, name: str, sha256: str) -> None:
        """Remember, within its own bound."""
        ...


class SharedTier(Protocol):
    """The tier other workers share. Blocking; called through ``Calls``. Raises TierError; nobody depends on it."""

    def get_many(self, keys: Sequence[str]) -> Mapping[str, Analysis]:
        """What is known of these content keys; a value that does not verify counts as unknown."""
        ...

    def put_many(self, analyses: Mapping[str, Analysis]) -> None:
        """Remember; the last writer wins, which is harmless: values are pure."""
        ...

    def claim_many(self, keys: Sequence[str], owner: str, seconds: float) -> Collection[str]:
        """Claim what nobody else has claimed, for so long; which of these are the owner's now."""
        ...

    def release_many(self, keys: Sequence[str], owner: str) -> None:
        """Give up claims of this owner."""
        ...

    def get_aliases(self, names: Sequence[str]) -> Mapping[str, str]:
        """The SHA-256 that these aliases stand for, of those that are known."""
        ...

    def put_aliases(self, aliases: Mapping[str, str]) -> None:
        """Remember which SHA-256 each alias stands for."""
        ...

    def get_finished(self, key: str) -> Sequence[FinishedSegment]:
        """Segments that were kept under a content key, in any order, a segment perhaps twice."""
        ...

    def keep_finished(self, key: str, segments: Sequence[FinishedSegment]) -> None:
        """Keep a group of segments of an analysis that is not there yet, beside those that are kept."""
        ...


class Archive(Protocol):
    """The tier that keeps for long. Blocking; called through ``Calls``. Raises TierError; nobody depends on it."""

    def get(self, key: str) -> Analysis | None:
        """What is known of a content key; a value that does not verify counts as unknown."""
        ...

    def put(self, key: str, analysis: Analysis) -> None:
        """Keep it; the last writer wins, which is harmless: values are pure."""
        ...


# --- decoders --------------------------------------------------------------------------------------------------------


class Decoders(Protocol):
    """The pool of decoder children."""

    def idle(self) -> int:
        """How many jobs can be submitted now."""
        ...

    def submit(self, job: DecodeJob) -> None:
        """Start a job on an idle child. Never blocks."""
        ...

    def grant(self, job: int, lease: Lease) -> None:
        """Answer a SlotWanted."""
        ...

    def cancel(self, job: int) -> None:
        """Stop a job: its child is killed and replaced; no further event of it is taken."""
        ...

    def take(self, now: float) -> Sequence[DecoderEvent]:
        """Events since the last take. Replaces children that died or outlasted their time.

        Raises FatalError when children end before they can work, again and again.
        """
        ...


class DecoderChildren(Decoders, Protocol):
    """The decoders as processes, which the runtime starts, waits on and stops."""

    @property
    def restarts(self) -> int:
        """Children that were replaced so far."""
        ...

    @property
    def sandbox(self) -> str | None:
        """How well the children are locked up: ``full``, or what else the kernel allowed; None before they said."""
        ...

    def start(self, now: float) -> None:
        """Spawn the children."""
        ...

    def filenos(self) -> Collection[int]:
        """Descriptors that become readable when there is something to take; they change as children are replaced."""
        ...

    def close(self) -> None:
        """End the children."""
        ...


# --- device ----------------------------------------------------------------------------------------------------------


class Device(Protocol):
    """The device process."""

    def submit(self, batch: int, items: Sequence[SegmentHandle]) -> None:
        """Queue a compute batch. Never blocks."""
        ...

    def take(self, now: float) -> Sequence[DeviceEvent]:
        """Events since the last take. Raises FatalError when the process dies too often or refuses its checkpoint."""
        ...

    def cost(self, lengths: Sequence[int]) -> float:
        """Predicted seconds for one batch of these lengths (samples); valid once ready."""
        ...

    def most_items(self, longest: int) -> int:
        """How many items of at most ``longest`` samples one batch should hold on this device."""
        ...


class DeviceChild(Device, Protocol):
    """The device as a process, which the runtime starts, waits on and stops."""

    def start(self) -> None:
        """Spawn the child; DeviceReady says when it is warm."""
        ...

    def fileno(self) -> int:
        """A descriptor that becomes readable when there is something to take; it changes when it is replaced."""
        ...

    def close(self) -> None:
        """End the child."""
        ...


# --- traces ----------------------------------------------------------------------------------------------------------


class Spans(Protocol):
    """Makes spans whose beginning is known when they are made (ns since the epoch). Never blocks."""

    def record(self, name: str, carrier: Record, values: SpanValues, began_ns: int, /) -> Any:
        """A span below the one that the headers name."""
        ...

    def headers(self, span: Any, /) -> Sequence[tuple[str, bytes]]:
        """What names it to whoever reads an output."""
        ...

    def end(self, span: Any, values: SpanValues, ended_ns: int, problem: str, /) -> None:
        """End it; with a problem it has failed."""
        ...

    def batch(self, name: str, linked: Iterable[Any], values: SpanValues, began_ns: int, ended_ns: int, /) -> None:
        """A span in a trace of its own that links to others."""
        ...
