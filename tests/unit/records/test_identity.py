"""Whatever can change a number changes the fingerprint."""

from dataclasses import replace

import pytest

from streamproc.records.identity import ARITHMETIC, ModelIdentity, fingerprint

MODEL = ModelIdentity("a", "0" * 64, "fp32", ("angry", "happy"))


@pytest.mark.parametrize(
    "other",
    [
        replace(MODEL, weights_sha256="1" * 64),
        replace(MODEL, precision="bf16"),
        replace(MODEL, engine="another 1.0"),
        replace(MODEL, labels=("angry", "happy", "sad")),
        replace(MODEL, labels=("happy", "angry")),
    ],
)
def test_engine_weights_precision_and_labels_are_in_it(other: ModelIdentity) -> None:
    assert fingerprint(other, "mix") != fingerprint(MODEL, "mix")


def test_the_version_of_our_own_arithmetic_is_in_it() -> None:
    assert MODEL.engine == f"streamproc {ARITHMETIC}"


def test_the_rule_for_channels_is_and_the_name_is_not() -> None:
    assert fingerprint(MODEL, "split") != fingerprint(MODEL, "mix")
    assert fingerprint(replace(MODEL, name="b"), "mix") == fingerprint(MODEL, "mix")
