"""A cut of ``make parity``: fewer blocks, fewer and shorter clips, the same comparison and the same bounds."""

from itertools import product

import pytest

from streamproc.bench.peer import open_peer
from streamproc.emotion import choice
from streamproc.emotion.choice import ATTENTIONS
from streamproc.emotion.linears import FP32
from streamproc.emotion.network import NetworkConfig
from tests.kinds import attends_here, here
from tools.parity.bounds import BOUNDS, Against, Output
from tools.parity.clips import Clip, choose
from tools.parity.compare import compare
from tools.parity.ours import Ours
from tools.parity.plan import plan
from tools.parity.reference import judge
from tools.parity.subjects import SUBJECTS, Subject, directory

SEED = 11
DEMO = next(subject for subject in SUBJECTS if subject.config is None)
CUT = (
    DEMO,
    Subject("as wide as plus_large", NetworkConfig(1024, 16, 1, 1, 9), 36_177_945),
    Subject("as wide as plus_base", NetworkConfig(768, 12, 1, 1, 9), 22_299_413),
)
CLIPS = {subject: (60, SEED, 3.0) if subject is DEMO else (26, SEED, 0.6) for subject in CUT}
"""How many, and how long at most (s): where they cost much, the shorter edges and a few more."""


def unheard(_seconds: float) -> None:
    """Progress that nobody watches."""


@pytest.mark.parametrize("subject", CUT, ids=lambda subject: subject.name)
def test_the_engine_gives_funasrs_numbers_and_its_own_in_any_company(subject: Subject) -> None:
    rounds = plan(choose(*CLIPS[subject]), SEED)
    with directory(subject, SEED) as path:
        tally = compare(subject.name, path, rounds, SEED, 1, unheard)
    assert list(tally.faults(subject.parameters, random_weights=subject.config is not None)) == []
    assert {(row.against, row.output) for row in tally.rows()} == {(a, o) for a in Against for o in Output}
    assert len(tally.choices) == len(("blocks", "around them", "attention"))
    # The negative control: FunASR's own padded batch is told from a right one, by each of its outputs.
    assert set(tally.control) == set(Output)
    assert all(wrong > BOUNDS[Against.FUNASR].of(output) for output, wrong in tally.control.items())


LONG = {subject: 21.0 if subject is DEMO else 6.0 for subject in CUT}
"""Seconds: past 2 the stem runs in spans, past 5 attention few heads at a time, past 20 its bias in rows of queries."""


@pytest.mark.parametrize("subject", CUT, ids=lambda subject: subject.name)
def test_each_kind_of_product_gives_funasrs_numbers_for_a_long_clip(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which kind a machine chooses for the blocks, and which attention, is a matter of its timing: not here."""
    waves = [Clip(0, "voice", int(16_000 * seconds)).wave(SEED) for seconds in (LONG[subject], 0.5)]
    ways = {name: attention for name, attention in ATTENTIONS.items() if attends_here(attention)}
    with directory(subject, SEED) as path, open_peer(path, threads=1) as peer:
        expected = [judge(peer, wave) for wave in waves]
        for (name, kind), (way, attention) in product(here(FP32).items(), ways.items()):
            monkeypatch.setattr(choice, "ATTENTIONS", {way: attention})
            ours = Ours(path, {name: kind})
            alone = [ours.alone(wave) for wave in waves]
            for found, own, other in zip(ours.together(waves), alone, expected, strict=True):
                for against, truth in ((Against.FUNASR, other), (Against.ITSELF, own)):
                    for output, difference in found.differences(truth).items():
                        assert difference <= BOUNDS[against].of(output), (name, way, against, output)
