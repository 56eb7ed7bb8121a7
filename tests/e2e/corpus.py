"""The events of the end-to-end test, each with what it has to become."""

import hashlib
import io
import json
import random
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import soundfile
from confluent_kafka.schema_registry import Schema
from minio import Minio
from numpy.typing import NDArray

from tests.e2e.oracle import Oracle

HELD_OUT = Path(__file__).parent.parent / "data" / "heldout"
SHOWN = Path(str(files("streamproc.demo") / "clips"))
SEGMENT_S = 15
HOUR_MS = 3_600_000
MOST_BYTES = 2_000_000
"""What the test's worker is told to take, so that an object over the cap is quick to store."""
MOST_SECONDS = 120


@dataclass(frozen=True)
class Planned:
    """One event to produce, and its end: ``result:<status>`` or ``dead_letter:<reason>``."""

    end: str
    value: bytes | None
    clip: str = ""
    label: str = ""
    event_id: str = ""
    old: bool = False
    key: bytes = b""
    headers: tuple[tuple[str, bytes], ...] = ()


class Corpus:
    """Stores objects and writes events about them."""

    def __init__(self, oracle: Oracle, store: Minio, bucket: str, subject: str) -> None:
        self._oracle = oracle
        self._store = store
        self._bucket = bucket
        latest = oracle.registry.get_latest_version(subject)
        self._schema_id = latest.schema_id
        self._schema = json.loads(latest.schema.schema_str or "")
        self._subject = subject

    def put(self, name: str, body: bytes) -> str:
        """Store an object; its key."""
        key = f"e2e/{name}"
        self._store.put_object(self._bucket, key, io.BytesIO(body), len(body))
        return key

    def event(self, key: str, **fields: object) -> bytes:
        """The value of an event in the registered schema."""
        known: dict[str, object] = {"event_id": str(uuid.uuid4()), "recorded_at": 1_700_000_000_000}
        return self._oracle.encode(
            self._schema_id or 0, self._schema, {**known, "bucket": self._bucket, "object_key": key, **fields}
        )

    def clips(self) -> Iterator[tuple[str, str, bytes]]:
        """Name, label and bytes of the held-out clips."""
        for row in json.loads((HELD_OUT / "manifest.json").read_text()):
            yield row["file"], row["label"], (HELD_OUT / row["file"]).read_bytes()

    def shown(self) -> Iterator[tuple[str, str, bytes]]:
        """The demo's recordings that are one segment: every format, rate and number of channels."""
        for row in json.loads((SHOWN / "manifest.json").read_text())["recordings"]:
            if row["seconds"] <= SEGMENT_S:
                yield row["file"], "", (SHOWN / row["file"]).read_bytes()

    def good(self, count: int, seed: int) -> list[Planned]:
        """Every held-out clip and demo recording, then repeats of their content, and events that are sent twice."""
        draw = random.Random(seed)
        clips = [*self.clips(), *self.shown()]
        planned = [self._clip(name, label, body, name) for name, label, body in clips]
        while len(planned) < count:
            if draw.random() < 0.3:
                planned.append(draw.choice(planned))  # the same event, the same event id
            else:
                name, label, body = draw.choice(clips)
                planned.append(self._clip(name, label, body, f"again/{len(planned)}-{name}"))
        return planned

    def _clip(self, name: str, label: str, body: bytes, key: str) -> Planned:
        ident = str(uuid.uuid4())
        declared = {"content_sha256": hashlib.sha256(body).hexdigest(), "size_bytes": len(body)}
        event = self.event(self.put(key, body), event_id=ident, outputs=["scores", "segments"], **declared)
        return Planned("result:ok", event, name, label, ident)

    def quiet(self) -> Iterator[Planned]:
        """Recordings without anything to label."""
        yield Planned("result:no_speech", self.event(self.put("silence.wav", wav(np.zeros(48_000)))))
        yield Planned("result:too_short", self.event(self.put("blip.wav", wav(np.full(160, 0.3)))))

    def bad(self) -> Iterator[Planned]:
        """Every kind of bad event, once."""
        good = wav(tone(2))
        whole = self.put("whole.wav", good)
        fine = self.event(whole)
        yield Planned("dead_letter:avro_invalid", b"not avro at all")
        yield Planned("dead_letter:avro_invalid", fine + b"\0")
        yield Planned("dead_letter:avro_invalid", fine[:-7])
        yield Planned("dead_letter:avro_invalid", b"\0\0")
        yield Planned("dead_letter:event_invalid", None)
        yield Planned("dead_letter:schema_unknown", b"\0\x7f\xff\xff\x00" + fine[5:])
        yield Planned("dead_letter:schema_unknown", self._under_a_wrong_subject(whole))
        yield Planned("result:ok", self._under_a_new_version(whole))
        yield Planned("dead_letter:headers_too_large", fine, headers=(("big", b"x" * 900_000),))
        yield Planned("dead_letter:headers_too_large", fine, headers=tuple((f"h{i}", b"") for i in range(65)))
        yield Planned("dead_letter:bucket_forbidden", self.event(whole, bucket="somebody-else"))
        for key in ("../up.wav", "a/../b.wav", "/absolute.wav", "http://127.0.0.1/x.wav", "a\r\nb", "nul\0.wav"):
            yield Planned("dead_letter:key_invalid", self.event(key))
        yield Planned("dead_letter:event_invalid", self.event(whole, channels="left"))
        yield Planned("dead_letter:object_missing", self.event("e2e/nobody.wav"), old=True)
        yield Planned("dead_letter:object_empty", self.event(self.put("empty.wav", b"")))
        yield Planned("dead_letter:object_too_large", self.event(self.put("big.wav", b"\0" * (MOST_BYTES + 1))))
        yield Planned("dead_letter:object_too_large", self.event(whole, size_bytes=MOST_BYTES + 1))
        yield Planned("dead_letter:hash_mismatch", self.event(whole, content_sha256="0" * 64))
        yield Planned("dead_letter:length_mismatch", self.event(whole, size_bytes=len(good) + 1))
        yield Planned("dead_letter:audio_too_long", self.event(self.put("long.flac", flac(MOST_SECONDS + 1))))
        yield Planned("dead_letter:format_unsupported", self.event(self.put("text.wav", b"just a note\n" * 50)))
        noise = random.Random(1).randbytes(9000)
        yield Planned("dead_letter:format_unsupported", self.event(self.put("noise.mp3", noise)))
        yield Planned("dead_letter:decode_failed", self.event(self.put("cut.flac", flac(3)[:4000])))
        yield Planned("dead_letter:decode_failed", self.event(self.put("cut.wav", good[: len(good) // 2])))
        yield Planned(
            "dead_letter:decode_failed", self.event(self.put("nan.wav", wav(np.full(16_000, np.nan), "FLOAT")))
        )
        yield Planned("dead_letter:audio_limits", self.event(self.put("wide.wav", wav(np.zeros((1000, 100))))))

    def _under_a_new_version(self, key: str) -> bytes:
        """A schema that a producer registered after the worker's own: right subject, one field more."""
        schema = {
            **self._schema,
            "fields": [*self._schema["fields"], {"name": "since", "type": ["null", "string"], "default": None}],
        }
        ident = self._oracle.registry.register_schema(self._subject, Schema(json.dumps(schema), "AVRO"))
        fields: Mapping[str, object] = {
            "event_id": "from a newer producer",
            "recorded_at": 1,
            "bucket": self._bucket,
            "object_key": key,
            "since": "v2",
        }
        return self._oracle.encode(ident, schema, fields)

    def _under_a_wrong_subject(self, key: str) -> bytes:
        schema = {**self._schema, "doc": "registered by somebody else"}
        ident = self._oracle.registry.register_schema(f"{uuid.uuid4().hex}-value", Schema(json.dumps(schema), "AVRO"))
        fields = {"event_id": "x", "recorded_at": 1, "bucket": self._bucket, "object_key": key}
        return self._oracle.encode(ident, schema, fields)


def tone(seconds: float) -> NDArray[np.float64]:
    """Something that is not silent."""
    t = np.arange(round(16_000 * seconds)) / 16_000
    wave: NDArray[np.float64] = 0.3 * np.sin(2 * np.pi * 220 * t) * (1 + np.sin(2 * np.pi * 3 * t))
    return wave


def wav(wave: NDArray[np.float64], subtype: str = "PCM_16") -> bytes:
    """A WAV file at 16 kHz."""
    out = io.BytesIO()
    soundfile.write(out, wave, 16_000, format="WAV", subtype=subtype)
    return out.getvalue()


def flac(seconds: float) -> bytes:
    """A FLAC file at 16 kHz."""
    out = io.BytesIO()
    soundfile.write(out, tone(seconds), 16_000, format="FLAC")
    return out.getvalue()
