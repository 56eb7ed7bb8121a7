"""Partials: what one partition's fold says of a bucket, as the members of the app tell each other.

A partial is the whole of what is known, no difference: told again, or twice, it says the same.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from streamproc.analytics.agreement import Agreement, digest, summing
from streamproc.analytics.observation import Key
from streamproc.analytics.tally import Tally, present
from streamproc.errors import StreamprocError
from streamproc.settings import Settings

_AGREEMENT = b'["agreement", '


def terms(settings: Settings) -> str:
    """What members have to agree on for their partials to be summed up: all that a fold, or its end, depends on."""
    return digest(summing(settings))


class UnreadablePartialError(StreamprocError):
    """Raised for a record that no member of the app wrote."""


@dataclass(frozen=True, slots=True)
class Place:
    """Whose partial it is: settings, partition of the results, key, begin of the bucket (ms since the epoch)."""

    terms: str
    partition: int
    key: Key
    start: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a partition is."""

    terms: str
    partition: int
    watermark: int
    """In ms since the epoch."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """Rows, by why."""
    live_from: Mapping[str, int] = field(default_factory=dict)
    """For each topic the first offset of a row that is still needed."""
    read: Mapping[str, int] = field(default_factory=dict)
    """For each topic the offset that comes next."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A tally at its place; None: nothing is kept there any more."""

    place: Place
    tally: Tally | None


def encode_partial(partial: Partial) -> tuple[bytes, bytes | None]:
    """Key and value of its record."""
    place, tally = partial.place, partial.tally
    key = json.dumps([place.terms, place.partition, *place.key, place.start], ensure_ascii=False).encode()
    if tally is None:
        return key, None
    numbers = [tally.results, dict(present(tally.labels)), tally.confidence, tally.changed, tally.change, tally.moves]
    return key, json.dumps(numbers, ensure_ascii=False).encode()


def encode_progress(progress: Progress) -> tuple[bytes, bytes]:
    """Key and value of its record."""
    value = {
        "watermark": progress.watermark,
        "left_out": dict(sorted(progress.left_out.items())),
        "live_from": dict(sorted(progress.live_from.items())),
        "read": dict(sorted(progress.read.items())),
    }
    return json.dumps([progress.terms, progress.partition]).encode(), json.dumps(value).encode()


def encode_agreement(agreement: Agreement) -> tuple[bytes, bytes]:
    """Key and value of its record."""
    return _AGREEMENT + json.dumps(agreement.group).encode() + b"]", json.dumps(agreement.agreed).encode()


def decode_agreement(key: bytes | None, value: bytes | None) -> Agreement | None:
    """What a record says, when it says what is agreed on. Raises UnreadablePartialError."""
    if key is None or not key.startswith(_AGREEMENT):
        return None
    try:
        match json.loads(key), json.loads(value or b"null"):
            case [_, str(group)], dict(agreed):
                return Agreement(group, agreed)
    except ValueError:
        pass
    raise UnreadablePartialError(
        f"a record with the key {key!r:.80} agrees on nothing: does another program write there?"
    )


def decode(key: bytes | None, value: bytes | None) -> Partial | Progress:
    """What a record says. Raises UnreadablePartialError."""
    try:
        match json.loads(key or b""), json.loads(value or b"null"):
            case (
                [str(terms), int(partition)],
                {"watermark": int(watermark), "left_out": dict(left_out), "live_from": dict(live_from), **more},
            ):
                read = more.get("read", live_from)  # releases before did not say it
                if isinstance(read, dict):
                    return Progress(terms, partition, watermark, left_out, live_from, read)
            case [str(terms), int(partition), str(attribute), str(name), int(start)], None:
                return Partial(Place(terms, partition, (attribute, name), start), None)
            case (
                [str(terms), int(partition), str(attribute), str(name), int(start)],
                [int(results), dict(labels), int(confidence), int(changed), int(change), int(moves)],
            ):
                tally = Tally(results, Counter(labels), confidence, changed, change, moves)
                return Partial(Place(terms, partition, (attribute, name), start), tally)
    except ValueError:
        pass
    raise UnreadablePartialError(f"a record with the key {key!r:.80} is no partial: does another program write there?")
