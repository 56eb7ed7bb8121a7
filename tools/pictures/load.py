"""Recordings that keep coming: those of the demo, again and again, some of them new each time, and one that is torn."""

import time
from pathlib import Path

import numpy as np
import soundfile

from streamproc.client.recordings import RecordingClient
from streamproc.demo.clips import load_manifest

CLIPS = Path(__file__).parents[2] / "streamproc" / "demo" / "clips"
PAUSE_S = 3.0
LONGEST_S = 10.0
TORN_EVERY = 6
"""Rounds."""


def produce(client: RecordingClient, folder: Path, seconds: float) -> None:
    """Publish until then: in each round a third of the clips, and one that nobody heard before."""
    files = [CLIPS / clip.file for clip in load_manifest().clips if clip.seconds <= LONGEST_S]
    voice, rate = soundfile.read(CLIPS / "angry-line.wav")
    noise = np.random.default_rng(1)
    end, number = time.monotonic() + seconds, 0
    with client:
        while time.monotonic() < end:
            for file in files[number % 3 :: 3]:
                client.publish(file, call_id=f"call-{number}", outputs=frozenset({"scores", "segments"}))
            fresh = folder / f"fresh-{number}.wav"
            soundfile.write(fresh, voice + noise.normal(0, 1e-3, voice.shape), rate)
            client.publish(fresh, call_id=f"call-{number}")
            if number % TORN_EVERY == 0:
                client.publish(CLIPS / "truncated.flac", call_id=f"call-{number}")
            client.flush()
            number += 1
            time.sleep(PAUSE_S)
