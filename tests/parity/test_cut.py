"""A cut of ``make parity``: fewer blocks, fewer and shorter clips, the same comparison and the same bounds."""

import pytest

from streamproc.emotion.network import NetworkConfig
from tools.parity.bounds import BOUNDS, Against, Output
from tools.parity.clips import choose
from tools.parity.compare import compare
from tools.parity.plan import plan
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
    # The negative control: FunASR's own padded batch is told from a right one, by each of its outputs.
    assert set(tally.control) == set(Output)
    assert all(wrong > BOUNDS[Against.FUNASR].of(output) for output, wrong in tally.control.items())
