"""What the demo announces, and how each announcement must end by the architecture. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from streamproc.demo.clips import Clip, Manifest
from streamproc.errors import Reason
from streamproc.records.analysis import Status

FOLDER = "demo"
"""The part of the bucket that the demo's objects are under."""
MISSING_KEY = f"{FOLDER}/never-stored.wav"
OLD_MS = 3_600_000
"""Age of the announcement of an object that is not there: old enough to be missing, not merely late."""
NOT_AVRO = b"this is not an event\n"
REPEATED = ("angry-line.wav", "shout.wav", "story.opus")
"""Announced again under new events: a short one, the shortest, and the one that would cost the most."""
COPIED = "sad-voicemail.wav"
"""Stored a second time under another name: the bytes count, not the name."""
SENT_TWICE = "happy-podcast.mp3"
"""Its very event is sent a second time, as a producer does that lost an acknowledgement."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One record to send."""

    title: str
    """What people call it: the file, or what stands for one; unique in a plan."""
    key: str
    """The Kafka key: what has the same one stays in order, and repeats follow their original in one micro-batch."""
    ends: str
    """Expected: ``result`` or ``dead_letter``."""
    how: str
    """Expected: the status of the result, or the reason of the dead letter."""
    event_id: str = ""
    object_key: str = ""
    content: str | None = None
    """File whose bytes are stored under ``object_key``; None where nothing is stored."""
    sha256: str | None = None
    """Of that content; equal ones may be computed once only."""
    label: str | None = None
    """The emotion in it, where it has just one."""
    raw: bytes | None = None
    """Sent as it is instead of an event."""
    age_ms: int = 0
    """How long ago its broker timestamp says it was sent."""


def build_plan(manifest: Manifest, run: str) -> Sequence[Announcement]:
    """Everything that one run announces, in order; event ids are unique to ``run``."""
    clips = {clip.file: clip for clip in manifest.clips}
    repeats = {file: _again(clips[file], run) for file in REPEATED}
    repeats[COPIED] = _copy(clips[COPIED], run)
    repeats[SENT_TWICE] = replace(_recording(clips[SENT_TWICE], run), title=f"{SENT_TWICE} (twice)")
    plan = []
    for clip in manifest.clips:
        plan.append(_recording(clip, run))
        if (repeat := repeats.get(clip.file)) is not None:
            plan.append(repeat)
    plan += [
        Announcement(
            title=oddity.file,
            key=f"{run}:{oddity.file}",
            ends="result" if oddity.outcome in set(Status) else "dead_letter",
            how=oddity.outcome,
            event_id=f"{run}:{oddity.file}",
            object_key=f"{FOLDER}/{oddity.file}",
            content=oddity.file,
            sha256=oddity.sha256,
        )
        for oddity in manifest.oddities
    ]
    missing = Announcement(
        title="never-stored.wav",
        key=f"{run}:missing",
        ends="dead_letter",
        how=Reason.OBJECT_MISSING,
        event_id=f"{run}:missing",
        object_key=MISSING_KEY,
        age_ms=OLD_MS,
    )
    garbage = Announcement(
        title="not-avro",
        key=f"{run}:not-avro",
        ends="dead_letter",
        how=Reason.AVRO_INVALID,
        raw=NOT_AVRO,
    )
    return [*plan, missing, garbage]


def _recording(clip: Clip, run: str) -> Announcement:
    return Announcement(
        title=clip.file,
        key=f"{run}:{clip.file}",
        ends="result",
        how=Status.OK,
        event_id=f"{run}:{clip.file}",
        object_key=f"{FOLDER}/{clip.file}",
        content=clip.file,
        sha256=clip.sha256,
        label=clip.label,
    )


def _again(clip: Clip, run: str) -> Announcement:
    return replace(_recording(clip, run), title=f"{clip.file} (again)", event_id=f"{run}:{clip.file}:again")


def _copy(clip: Clip, run: str) -> Announcement:
    name = f"copy-of-{clip.file}"
    return replace(_recording(clip, run), title=name, event_id=f"{run}:{name}", object_key=f"{FOLDER}/{name}")
