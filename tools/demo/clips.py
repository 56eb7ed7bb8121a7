"""Write the recordings of ``streamproc demo``: ``python -m tools.demo.clips OUT`` (needs espeak-ng).

Speech in every format that a platform may send, files that are no speech, and ``manifest.json``, which says of each
what it is and what becomes of it.
"""

import argparse
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tools.demo import codecs
from tools.demo.codecs import AnyCodec
from tools.demo.scenes import Sound, Studio

SEED = 3
NOTES = "Call back on Thursday. This file is text, whatever its name says.\n"
TORN = 0.5
"""The share of the torn file that is left. Its header still promises all of it."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording to make. ``label`` is the emotion of all that is spoken in it, if there is just one."""

    name: str
    title: str
    sound: Callable[[Studio], Sound]
    codec: AnyCodec
    rate: int
    label: str | None = None


def _sentence(name: str, title: str, label: str, codec: AnyCodec, rate: int) -> Recording:
    return Recording(name, title, lambda studio: studio.sentence(label), codec, rate, label)


def _duet(name: str, title: str, labels: tuple[str, str], codec: AnyCodec, rate: int) -> Recording:
    label = labels[0] if labels[0] == labels[1] else None
    return Recording(name, title, lambda studio: studio.duet(*labels), codec, rate, label)


def _talk(name: str, title: str, seconds: float, speakers: int, codec: AnyCodec, rate: int) -> Recording:
    return Recording(name, title, lambda studio: studio.talk(seconds, speakers), codec, rate)


RECORDINGS: Sequence[Recording] = (
    _sentence("angry-line", "an angry caller, telephone line", "angry", codecs.WAV, 8_000),
    _sentence("sad-voicemail", "a sad message, voicemail", "sad", codecs.WAV, 16_000),
    _sentence("happy-studio", "good news, studio", "happy", codecs.WAV, 44_100),
    _sentence("neutral-desk", "a plain sentence, desk microphone", "neutral", codecs.WAV, 48_000),
    _duet("call-complaint", "agent and angry customer", ("neutral", "angry"), codecs.WAV, 8_000),
    _duet("call-loss", "sad caller and agent, telephone over IP", ("sad", "neutral"), codecs.WAV, 16_000),
    _duet("interview-trade", "a happy and an angry voice, recorder", ("happy", "angry"), codecs.WAV, 44_100),
    _duet("interview-flood", "a fearful and an angry voice, camera", ("fearful", "angry"), codecs.WAV, 48_000),
    _sentence("fearful-exchange", "a fearful caller, exchange (North America)", "fearful", codecs.MU_LAW, 8_000),
    _duet("call-transfer", "two angry callers, exchange", ("angry", "angry"), codecs.MU_LAW, 8_000),
    _sentence("surprised-exchange", "a surprised caller, exchange (Europe)", "surprised", codecs.A_LAW, 8_000),
    _sentence("neutral-old-card", "a plain sentence, old sound card", "neutral", codecs.WAV_8, 11_025),
    _sentence("happy-24-bit", "good news, 24-bit interface", "happy", codecs.WAV_24, 48_000),
    _sentence("angry-float", "an angry sentence, audio editor", "angry", codecs.WAV_FLOAT, 16_000),
    _sentence("sad-archive", "a sad sentence, archive", "sad", codecs.FLAC, 16_000),
    _sentence("surprised-archive", "a surprised sentence, archive", "surprised", codecs.FLAC, 44_100),
    _duet("duet-master", "two plain voices, master copy", ("neutral", "neutral"), codecs.FLAC_24, 48_000),
    _sentence("happy-podcast", "good news, podcast", "happy", codecs.MP3, 44_100),
    _sentence("angry-memo", "an angry memo, dictaphone", "angry", codecs.MP3, 16_000),
    _talk("meeting", "a meeting of two, every emotion in turn", 45, 2, codecs.MP3, 22_050),
    _sentence("fearful-game", "a fearful sentence, game chat", "fearful", codecs.VORBIS, 44_100),
    _talk("lecture", "a short lecture, every emotion in turn", 20, 1, codecs.VORBIS, 16_000),
    _sentence("sad-messenger", "a sad voice message, messenger", "sad", codecs.OPUS, 16_000),
    _duet("video-call", "two fearful voices, video call", ("fearful", "fearful"), codecs.OPUS, 48_000),
    _talk("story", "a story of a minute and a half", 90, 1, codecs.OPUS, 24_000),
    _sentence("surprised-phone", "a surprised sentence, mobile phone", "surprised", codecs.AAC, 44_100),
    _duet("neutral-camera", "two plain voices, camera", ("neutral", "neutral"), codecs.AAC, 48_000),
    Recording("shout", "a shout of 0.3 s", lambda studio: studio.cut("angry", 0.3), codecs.MU_LAW, 16_000, "angry"),
)


@dataclass(frozen=True, slots=True)
class Special:
    """A file that is no speech; ``outcome`` is the status of its result or the reason of its dead letter."""

    name: str
    title: str
    outcome: str


SPECIALS: Sequence[Special] = (
    Special("silence.wav", "three seconds of digital silence", "no_speech"),
    Special("blip.wav", "10 ms of a tone", "too_short"),
    Special("truncated.flac", "a flac torn off in the middle", "decode_failed"),
    Special("notes.wav", "a text file with the wrong name", "format_unsupported"),
)


def write_recording(recording: Recording, studio: Studio, out: Path) -> dict[str, Any]:
    """Make one recording; the returned row goes into the manifest."""
    sound = codecs.resampled(recording.sound(studio), recording.rate)
    file = out / (recording.name + recording.codec.suffix)
    recording.codec.write(file, sound, recording.rate)
    channels = sound.shape[1]
    words = f"{recording.codec.words}, {recording.rate / 1000:g} kHz, {'stereo' if channels == 2 else 'mono'}"  # noqa: PLR2004  # two channels are what stereo means
    return {
        "file": file.name,
        "title": recording.title,
        "format": words,
        "seconds": round(len(sound) / recording.rate, 3),
        "channels": channels,
        "sample_rate": recording.rate,
        "label": recording.label,
        **_stored(file),
    }


def write_specials(studio: Studio, out: Path) -> list[dict[str, Any]]:
    """Make the files that are no speech; the returned rows go into the manifest."""
    rate = 16_000
    codecs.WAV.write(out / "silence.wav", np.zeros((3 * rate, 1), np.float32), rate)
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(rate // 100) / rate)
    codecs.WAV.write(out / "blip.wav", tone[:, None].astype(np.float32), rate)
    torn = out / "truncated.flac"
    codecs.FLAC.write(torn, studio.sentence("happy"), rate)
    whole = torn.read_bytes()
    torn.write_bytes(whole[: int(TORN * len(whole))])
    (out / "notes.wav").write_text(NOTES, encoding="ascii")
    return [
        {"file": special.name, "title": special.title, "outcome": special.outcome, **_stored(out / special.name)}
        for special in SPECIALS
    ]


def _stored(file: Path) -> dict[str, Any]:
    body = file.read_bytes()
    return {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Write the recordings of the demo.")
    parser.add_argument("out", type=Path, help="folder for the recordings and their manifest.json")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    studio = Studio(SEED)
    recordings = []
    for recording in RECORDINGS:
        recordings.append(write_recording(recording, studio, out))
        print("{file:26}{seconds:7.2f} s  {bytes:8,}  {format}".format(**recordings[-1]))
    manifest = {"recordings": recordings, "specials": write_specials(studio, out)}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    total = sum(row["bytes"] for rows in manifest.values() for row in rows)
    print(f"{len(recordings)} recordings, {len(SPECIALS)} special files, {total:,} bytes")


if __name__ == "__main__":
    main()
