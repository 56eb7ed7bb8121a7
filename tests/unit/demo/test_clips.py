import hashlib
import json
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

MANIFEST = json.loads(files("streamproc.demo").joinpath("clips/manifest.json").read_text(encoding="utf-8"))
RECORDINGS: list[dict[str, Any]] = MANIFEST["recordings"]
SPECIALS: list[dict[str, Any]] = MANIFEST["specials"]

PROMISED = [
    *(f"wav, 16 bit, {rate} kHz, {channels}" for rate in ("8", "16", "44.1", "48") for channels in ("mono", "stereo")),
    *("wav, mu-law, 8 kHz", "wav, A-law, 8 kHz", "wav, 24 bit", "wav, float"),
    *("flac, 16 bit, 16 kHz", "flac, 16 bit, 44.1 kHz", "mp3", "ogg, Vorbis", "ogg, Opus", "m4a, AAC"),
]


@pytest.fixture
def clips() -> Iterator[Path]:
    with as_file(files("streamproc.demo").joinpath("clips")) as folder:
        yield folder


def by_soundfile(file: Path) -> tuple[NDArray[np.float64], int]:
    """Samples [samples, channels] and their rate."""
    return soundfile.read(file, always_2d=True)  # type: ignore[no-any-return]  # soundfile ships no types


def by_pyav(file: Path) -> tuple[NDArray[np.float64], int]:
    """Samples [samples, channels] and their rate."""
    with av.open(str(file)) as container:
        frames = list(container.decode(audio=0))
    return np.concatenate([frame.to_ndarray() for frame in frames], 1).T, frames[0].sample_rate


def test_manifest_names_every_file_and_no_other(clips: Path) -> None:
    named = {row["file"] for row in RECORDINGS + SPECIALS}
    assert named == {file.name for file in clips.iterdir()} - {"manifest.json"}


@pytest.mark.parametrize("row", RECORDINGS + SPECIALS, ids=lambda row: row["file"])
def test_file_is_the_one_that_the_manifest_describes(row: dict[str, Any], clips: Path) -> None:
    body = (clips / row["file"]).read_bytes()
    assert (len(body), hashlib.sha256(body).hexdigest()) == (row["bytes"], row["sha256"])


def test_recordings_are_many_and_all_different() -> None:
    assert len({row["sha256"] for row in RECORDINGS}) == len({row["format"] for row in RECORDINGS}) == len(RECORDINGS)
    assert len(RECORDINGS) >= 24


@pytest.mark.parametrize("words", PROMISED)
def test_every_promised_format_is_there(words: str) -> None:
    assert any(row["format"].startswith(words) for row in RECORDINGS)


def test_lengths_go_from_a_shout_to_a_story() -> None:
    lengths = {row["seconds"] for row in RECORDINGS}
    assert (min(lengths), max(lengths)) == (0.3, 90.0)
    assert {20.0, 45.0} < lengths


def test_all_of_it_stays_small() -> None:
    assert sum(row["bytes"] for row in RECORDINGS + SPECIALS) <= 5_000_000


@pytest.mark.parametrize("row", RECORDINGS, ids=lambda row: row["file"])
def test_recording_decodes_to_what_the_manifest_says(row: dict[str, Any], clips: Path) -> None:
    sound, rate = (by_pyav if row["file"].endswith(".m4a") else by_soundfile)(clips / row["file"])
    assert (rate, sound.shape[1]) == (row["sample_rate"], row["channels"])
    # AAC has no exact length: it fills its last frame of 1,024 samples and begins with one.
    assert len(sound) / rate == pytest.approx(row["seconds"], abs=0.002 + 2 * 1024 / rate * row["file"].endswith("m4a"))
    assert np.abs(sound).max() < 1
    assert (np.sqrt(np.mean(sound**2, axis=0)) > 0.01).all()


def test_labels_are_emotions_that_the_demo_speaks() -> None:
    spoken = {"angry", "fearful", "happy", "neutral", "sad", "surprised"}
    assert {row["label"] for row in RECORDINGS} == spoken | {None}


def test_silence_is_digital_and_blip_is_under_25_ms(clips: Path) -> None:
    silence, rate = by_soundfile(clips / "silence.wav")
    assert not silence.any()
    assert len(silence) == 3 * rate
    blip, rate = by_soundfile(clips / "blip.wav")
    assert len(blip) == rate // 100


@pytest.mark.parametrize("name", ["truncated.flac", "notes.wav"])
def test_broken_files_fail_in_both_decoders(name: str, clips: Path) -> None:
    with pytest.raises(soundfile.LibsndfileError):
        by_soundfile(clips / name)
    with pytest.raises(av.error.InvalidDataError):
        by_pyav(clips / name)


def test_truncated_file_begins_as_a_good_one(clips: Path) -> None:
    assert soundfile.info(clips / "truncated.flac").duration > 1
