"""Identities: fingerprint, content key, result and segment ids."""

import hashlib
import uuid
from dataclasses import dataclass
from typing import Literal

from streamproc.records.recording import Channels

ARITHMETIC = "2"
"""Bump when our own network could give another number: beyond fp32's stated bound, or at all in another precision."""
PREPROCESSING = "2"
"""Bump when decoding, mixing or resampling could change a sample."""
SEGMENTATION = "vad15-1"
"""Bump when the same samples could be cut or counted as speech in another way."""
OBJECTS = "analyses/"
"""What the names of all objects of analyses begin with."""
RESULT_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "streamproc:emotion-result")
_NAMESPACE = hashlib.sha1(RESULT_NAMESPACE.bytes, usedforsecurity=False)
_VARIANT = {f"{digit:x}": f"{digit & 0b0011 | 0b1000:x}" for digit in range(16)}


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """What the device process says of the network it loaded."""

    name: str
    weights_sha256: str
    precision: str
    """With the kind of device where that is part of the arithmetic, as it is in all but fp32."""
    labels: tuple[str, ...]
    engine: str = f"streamproc {ARITHMETIC}"
    """Whose arithmetic it is, with its version, since another one may give other numbers."""
    embed_dim: int = 0
    """Numbers of an embedding; 0 where there are none. No part of the fingerprint: the weights decide it."""


def fingerprint(model: ModelIdentity, channels: Channels) -> str:
    """Everything that can change a number, as 32 hexadecimal digits.

    Runner, batch size and device are outside it: they must not change a number beyond the precision's bound.
    """
    # emotion2vec+ was published twice with the same weights, first naming five of the nine classes: other shares.
    labels = "\t".join(model.labels)
    parts = (model.engine, model.weights_sha256, model.precision, PREPROCESSING, SEGMENTATION, channels, labels)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def scope(shared_by: Literal["global", "tenant"], tenant: str | None) -> str:
    """Who may share a computation: everybody, or those of one tenant."""
    return f"tenant={tenant or ''}" if shared_by == "tenant" else "global"


def content_key(scope: str, content_sha256: str, fingerprint: str) -> str:
    """The identity of a computation: who may share it, which bytes, which fingerprint."""
    return f"{scope}:{content_sha256}:{fingerprint}"


_WITH_EMBEDDING = ".embedding"


def work_key(content_key: str, *, embedding: bool) -> str:
    """What an analysis is looked up, claimed and remembered by: one without its embedding is no answer to who wants it.

    The suffix stands behind the fingerprint, so whatever finds all of a content or of a tenant finds both.
    """
    return content_key + _WITH_EMBEDDING if embedding else content_key


def content_of(work_key: str) -> str:
    """The content key of a key of work."""
    return work_key.removesuffix(_WITH_EMBEDDING)


def object_name(work_key: str, what: str) -> str:
    """Where in the bucket an object of an analysis is: under its bytes, then under what else its key says."""
    scope, content_sha256, fingerprint = work_key.rsplit(":", 2)
    return f"{OBJECTS}{content_sha256}/{fingerprint}/{object_scope(scope)}/{what}"


def content_in(name: str) -> str:
    """The SHA-256 that is part of such a name."""
    return name.removeprefix(OBJECTS).partition("/")[0]


def object_scope(scope: str) -> str:
    """How the names of objects say who shares them."""
    return hashlib.sha256(scope.encode()).hexdigest()[:16]


def result_id(event_id: str, fingerprint: str) -> str:
    """UUIDv5 of event and fingerprint: the same event analysed the same way is the same row for whoever upserts."""
    return _uuid5(f"{event_id}\n{fingerprint}")


def segment_id(result_id: str, index: int) -> str:
    """UUIDv5 of the result and the segment's place in it."""
    return _uuid5(f"{result_id}\n{index}")


def _uuid5(name: str) -> str:
    """``str(uuid.uuid5(RESULT_NAMESPACE, name))`` in a quarter of the time: RFC 9562, section 5.5."""
    digest = _NAMESPACE.copy()
    digest.update(name.encode())
    text = digest.hexdigest()
    return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"
