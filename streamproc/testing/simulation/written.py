"""Everything that was written of a record: columns, headers, keys, and that there is no more of it."""

import io
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType

import numpy as np

from streamproc.errors import Reason, Stage
from streamproc.records.analysis import Status
from streamproc.records.outcome import OutcomeKind
from streamproc.records.record import Record
from streamproc.records.topics import MAX_FORWARDED_BYTES
from streamproc.testing.simulation.reading import End, Origin, row_of
from streamproc.testing.simulation.recordings import Announced, Kind
from streamproc.testing.simulation.reference import (
    differences,
    embedding_path,
    embedding_row,
    kept_whole,
    result_id,
    result_row,
    segment_rows,
    timeline_path,
    timeline_rows,
)
from streamproc.testing.simulation.violation import Violation
from streamproc.testing.simulation.world import EPOCH_MS, World

_OURS = (
    "sp-origin-topic",
    "sp-origin-partition",
    "sp-origin-offset",
    "sp-attempts",
    "sp-first-seen-ms",
    "sp-stage",
    "sp-class",
    "sp-reason",
    "sp-message",
    "sp-version",
)
_CLOSE = 1e-6
"""What an embedding may differ by, which is rounded to float32."""
_POINTER = "sp-record-uri"
_MOST_MESSAGE_BYTES = 1024
_MOST_KEPT_BYTES = 4 * MAX_FORWARDED_BYTES
_FREE = frozenset({"tier", "attempts", "produced_at", "processing_ms"})
"""Columns that may differ from one try of the same record to the next."""
_SPOILED = (Reason.STORE_UNAVAILABLE, Stage.FETCH)
"""What spoils a try without being the record's fault: an answer of the store."""
_LATE = (Reason.OBJECT_MISSING, Stage.FETCH)
_DECODERS_ENDED = (Reason.KILLED_WORKER, Stage.PREPARE)
_DECODERS_A_TRY = 3
"""That may end with a recording before its try is given up."""
_DEAD_AT: Mapping[str, Collection[str]] = MappingProxyType(
    {
        Reason.RETRIES_EXHAUSTED: frozenset({Stage.FETCH, Stage.PREPARE}),
        Reason.OBJECT_MISSING: frozenset({Stage.FETCH}),
        Reason.DECODE_FAILED: frozenset({Stage.PREPARE}),
        Reason.MODEL_FAILED: frozenset({Stage.INFER}),
        Reason.KILLED_WORKER: frozenset({Stage.ADMIT, Stage.PREPARE, Stage.INFER}),
    }
)
"""Where a record fails for good; for any other reason it is before anything is asked for it."""


def most_attempts(world: World) -> int:
    """Tries until a record is given up: one, and those of every lane."""
    retry = world.settings.retry
    return 1 + retry.attempts_per_lane * len(retry.delays_s)


def tries_of_decoders(world: World, announced: Announced) -> int:
    """How many tries of a record may have ended with its decoders and not been its end: no two in a row do that."""
    if announced.kind is Kind.KILLS_DECODER:
        return 1 + world.hurt[announced.object_key]
    return world.blame.decoders[announced.body or b""] // _DECODERS_A_TRY


def check_result(world: World, origin: Origin, announced: Announced, stored: Record) -> None:
    """Check one row of the results topic."""
    row, what = row_of(stored), f"the result of record {announced.number}"
    if announced.expected not in {*Status}:
        raise Violation("G5", f"{announced.kind} record {announced.number} ended as a result: {row}")
    if stored.key != announced.key:
        raise Violation("order", f"{what} has key {stored.key!r}")
    if stored.headers:
        raise Violation("G3", f"{what} has headers {stored.headers}")
    expected = result_row(world.settings.topics.recordings, origin, announced)
    odd = differences({name: value for name, value in row.items() if name not in _FREE}, expected)
    if odd:
        raise Violation("G2" if "result_id" in odd else "G3", f"{what} is not the reference's: {_text(odd)}")
    if row.keys() != {*expected, *_FREE}:
        raise Violation("G3", f"{what} has the columns {sorted(row)}")
    shared = {"redis"} if world.servers.tier else set()
    tiers = {"computed", "memory", *shared, *({"archive"} if world.servers.archive else ())}
    if row["tier"] not in tiers:
        raise Violation("G3", f"{what} comes from {row['tier']}, there are {sorted(tiers)}")
    produced, took = row["produced_at"], row["processing_ms"]
    if not (_is_time(produced) and produced <= stored.timestamp_ms and isinstance(took, int)):
        raise Violation("G3", f"{what} was produced at {produced!r}, stored at {stored.timestamp_ms}, took {took!r} ms")
    if not 0 <= took <= produced - EPOCH_MS:
        raise Violation("G3", f"{what} took {took} ms, {produced - EPOCH_MS} ms after everything began")


def check_failure(world: World, announced: Announced, stored: Record, end: End) -> None:
    """Check one dead letter, or one record of a lane."""
    what = f"record {announced.number} in {stored.topic}"
    whole = announced.kind is Kind.HUGE
    own = () if whole else announced.headers
    if (stored.key, stored.value) != (announced.key, None if whole else announced.value):
        raise Violation("G1", f"{what} has not the key and value of its original")
    if stored.headers[: len(own)] != own:
        raise Violation("G1", f"{what} has not its original's headers in front: {stored.headers}")
    ours = stored.headers[len(own) :]
    if tuple(name for name, _ in ours) != (*_OURS, *([_POINTER] if whole else [])):
        raise Violation("G1", f"{what} has the headers {[name for name, _ in ours]} besides its own")
    headers = dict(ours)
    expected = {
        "sp-origin-topic": world.settings.topics.recordings.encode(),
        "sp-origin-partition": b"%d" % end.origin.partition,
        "sp-origin-offset": b"%d" % end.origin.offset,
        "sp-attempts": b"%d" % end.attempts,
        "sp-first-seen-ms": b"%d" % world.upstream.stamps[end.origin.partition, end.origin.offset],
        "sp-class": b"transient" if end.kind is OutcomeKind.RETRY else b"poison",
        "sp-reason": end.what.encode(),
        "sp-version": b"1",
    }
    if odd := differences({name: headers[name] for name in expected}, expected):
        raise Violation("G1", f"{what} has other headers than it should: {_text(odd)}")
    _check_message(what, headers["sp-message"] or b"")
    stage = (headers["sp-stage"] or b"").decode("utf-8", "replace")
    if end.kind is OutcomeKind.RETRY:
        _check_lane(world, announced, stored, end, stage)
    elif stage not in _dead_at(end.what):
        raise Violation("G1", f"{what} failed as {end.what} at {stage}")
    if whole:
        _check_kept(world, announced, end.origin, headers[_POINTER])


def _check_message(what: str, message: bytes) -> None:
    if not 1 <= len(message) <= _MOST_MESSAGE_BYTES or message.decode("utf-8", "replace").encode() != message:
        raise Violation("G1", f"{what} has a message of {len(message)} bytes: {message!r:.64}")


def _check_lane(world: World, announced: Announced, stored: Record, end: End, stage: str) -> None:
    what = f"record {announced.number} ({announced.kind}) in {stored.topic}"
    allowed = {_SPOILED, *({_LATE} if announced.kind is Kind.LATE else ())}
    if tries_of_decoders(world, announced):
        allowed.add(_DECODERS_ENDED)
    if _dead_at(announced.expected) == {Stage.ADMIT} or (end.what, stage) not in allowed:
        raise Violation("G5", f"{what} has no reason to be there: {end.what} at {stage}")
    lane = world.settings.topics.lanes[(end.attempts - 1) // world.settings.retry.attempts_per_lane]
    if stored.topic != lane:
        raise Violation("lanes", f"{what} was tried {end.attempts} times: it belongs to {lane}")


def _dead_at(what: str) -> Collection[str]:
    """The stages at which a record can come to this reason; none for a status."""
    return _DEAD_AT.get(what, {Stage.ADMIT} if what in {*Reason} else ())


def _check_kept(world: World, announced: Announced, origin: Origin, pointer: bytes | None) -> None:
    bucket, topic = world.settings.storage.bucket, world.settings.topics.recordings
    path = f"dead-letters/{topic}/{origin.partition}/{origin.offset}.json"
    if pointer != f"s3://{bucket}/{path}".encode():
        raise Violation("G1", f"the dead letter of record {announced.number} points to {pointer!r}")
    kept = json.loads(world.servers.store.get(bucket, path, None, _MOST_KEPT_BYTES).body)
    if odd := differences(kept, kept_whole(announced)):
        raise Violation("G1", f"the store has another original of record {announced.number}: {_text(odd):.200}")


def check_timeline(world: World, one: Announced) -> None:
    """Check that what its result points to is in the store, and says what it should."""
    what = f"the timeline of record {one.number}"
    found = world.servers.store.holds(world.settings.storage.bucket, timeline_path(one))
    if found is None:
        raise Violation("G2", f"{what} is not in the store")
    said = json.loads(found)
    labels = said["labels"]
    segments = [{**dict(zip(labels, row.pop("scores"), strict=True)), **row} for row in said.pop("segments")]
    expected = timeline_rows(one)
    if len(segments) + 1 != len(expected):
        raise Violation("G3", f"{what} has {len(segments)} segments, and should have {len(expected) - 1}")
    for row, right in zip((said, *segments), expected, strict=True):
        if odd := differences(row, right):
            raise Violation("G3", f"{what} is not the reference's: {_text(odd)}")


def check_embedding(world: World, one: Announced) -> None:
    """Check that what its result points to is in the store, and is what the network says."""
    what = f"the embedding of record {one.number}"
    stored = world.servers.store.holds(world.settings.storage.bucket, embedding_path(one))
    if stored is None:
        raise Violation("G2", f"{what} is not in the store")
    found, expected = np.load(io.BytesIO(stored), allow_pickle=False), embedding_row(one)
    same = found.dtype == np.float32 and found.shape == (1, len(expected)) and np.allclose(found, expected, 0, _CLOSE)
    if not same:
        raise Violation("G3", f"{what} is {found!r:.200} instead of {expected!r:.200}")


def check_segments(world: World, with_results: Iterable[Announced], written: Iterable[Record]) -> None:
    """Check every row of the segments topic against the records that ended as results."""
    expected = {result_id(one): one for one in with_results if segment_rows(one)}
    found: defaultdict[str, list[Record]] = defaultdict(list)
    for stored in written:
        found[row_of(stored)["result_id"]].append(stored)
    if more := found.keys() - expected.keys():
        raise Violation("G3", f"there are segments of results that have none, or did not ask for them: {sorted(more)}")
    for ident, one in expected.items():
        _check_segments_of(world, one, found[ident])


def _check_segments_of(world: World, one: Announced, written: Iterable[Record]) -> None:
    expected = segment_rows(one)
    what = f"the segments of record {one.number}"
    indices = []
    for stored in written:
        row = row_of(stored)
        indices.append(row["index"])
        if stored.key != one.key or stored.headers:
            raise Violation("order", f"{what} have key {stored.key!r} and headers {stored.headers}")
        if not 0 <= row["index"] < len(expected):
            raise Violation("G3", f"{what} are {len(expected)}, and there is number {row['index']}")
        if odd := differences(row, expected[row["index"]]):
            raise Violation("G3", f"{what} are not the reference's: {_text(odd)}")
    whole = list(range(len(expected)))
    once = world.plan.delivery == "exactly_once"
    if indices != whole if once else set(indices) != {*whole}:
        raise Violation("G2", f"{what} stand as {indices}, and should be {whole}")


def _is_time(value: object) -> bool:
    return isinstance(value, int) and value >= EPOCH_MS


def _text(odd: Mapping[str, tuple[object, object]]) -> str:
    return ", ".join(f"{name} {found!r} instead of {expected!r}" for name, (found, expected) in odd.items())
