"""What a start waits for is what it imports. ``bench cold`` measures how long that takes; what it is stands here."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "torch",
    "numpy",
    "pydantic",
    "streamproc.settings",
    "structlog",
    "rich",
    "typer",
    "confluent_kafka",
    "fastavro",
}
CHILD = HEAVY - {"numpy", "structlog", "rich"}
"""What the device process does without until it loads an analyzer: structlog speaks for it, and looks for rich."""
RESULT = HEAVY - {"torch", "numpy", "pydantic"}
"""What a first result does without: pydantic checks a checkpoint's texts, and nobody hears a sentence."""
FIRST_RESULT = """
import numpy as np
from streamproc.emotion import load_model
assert load_model("demo").analyze([np.ones(8_000, np.float32)])
"""


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import streamproc", HEAVY),
        ("import streamproc.emotion", HEAVY - {"numpy"}),
        ("import streamproc.emotion.device_main", CHILD),
        (FIRST_RESULT, RESULT),
    ],
    ids=["the package", "the emotion room", "the device process", "a first result"],
)
def test_nobody_waits_for_what_he_does_not_use(code: str, heavy: set[str]) -> None:
    said = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport json, sys; print(json.dumps(list(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert heavy & set(json.loads(said.stdout)) == set()
