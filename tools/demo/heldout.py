"""Write the clips that judge the demo network end to end.

``python -m tools.demo.heldout OUT`` (needs espeak-ng): Ogg Vorbis at 16 kHz, mono, as many of each emotion, and
``manifest.json``. They are the first of the held-out script whose length is within bounds: chosen before any network
heard them.
"""

import argparse
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import soundfile

from tools.demo import speech

PER_EMOTION = 16
BOUNDS_S = (2.0, 5.0)


def shipped() -> Iterator[tuple[str, speech.Line, speech.Waveform]]:
    """File name, line and waveform of each clip."""
    lines = speech.held_out_script()
    count: Counter[str] = Counter()
    for line, wave in zip(lines, speech.read_aloud(lines, os.cpu_count() or 1), strict=True):
        if BOUNDS_S[0] <= speech.seconds([wave]) <= BOUNDS_S[1] and count[line.emotion] < PER_EMOTION:
            count[line.emotion] += 1
            yield f"{line.emotion}-{count[line.emotion]:02}.ogg", line, wave


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Write the held-out clips of the demo network.")
    parser.add_argument("out", type=Path, help="folder for the clips and their manifest.json")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for name, line, wave in shipped():
        soundfile.write(out / name, wave, speech.SAMPLE_RATE, "VORBIS", format="OGG")
        digest = hashlib.sha256((out / name).read_bytes()).hexdigest()
        seconds = round(speech.seconds([wave]), 3)
        rows.append(
            {
                "file": name,
                "label": line.emotion,
                "seconds": seconds,
                "voice": line.voice,
                "text": line.text,
                "sha256": digest,
            }
        )
    rows.sort(key=lambda row: row["file"])
    (out / "manifest.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    size = sum((out / row["file"]).stat().st_size for row in rows)
    print(f"{len(rows)} clips, {sum(row['seconds'] for row in rows):.0f} s, {size:,} bytes")


if __name__ == "__main__":
    main()
