"""Comparing one model: round by round, so that no more than a round's numbers are held."""

from collections.abc import Callable, Sequence
from pathlib import Path

from streamproc.arena import SAMPLE_RATE
from streamproc.bench.peer import Peer, open_peer
from tools.parity.bounds import Against
from tools.parity.clips import Clip
from tools.parity.ours import Ours, Value
from tools.parity.plan import Batch, Round
from tools.parity.reference import judge, padded, parameters
from tools.parity.tally import ALONE, Tally

CONTROL_S = (0.5, 1.1, 3.0)
"""Lengths of the batch that FunASR pads."""

Values = Sequence[Value]
Told = Callable[[float], None]
"""Called with the seconds of audio that were computed since."""


def compare(name: str, directory: Path, rounds: tuple[Round, ...], seed: int, threads: int, told: Told) -> Tally:
    """Run every round through FunASR, through the engine alone, and through the engine in company."""
    ours = Ours(directory)
    with open_peer(directory, threads) as peer:
        tally = Tally(name, ours.parameters, parameters(peer), ours.choices)
        _control(tally, peer, seed)
        for one in rounds:
            _round(tally, one, ours, peer, seed, told)
    return tally


def _round(tally: Tally, one: Round, ours: Ours, peer: Peer, seed: int, told: Told) -> None:
    waves = [clip.wave(seed) for clip in one.clips]
    expected: list[Value] = []
    alone: list[Value] = []
    for clip, wave in zip(one.clips, waves, strict=True):
        expected.append(judge(peer, wave))
        alone.append(ours.alone(wave))
        tally.judged(clip, expected[-1])
        tally.compare(Against.FUNASR, clip, ALONE, alone[-1], expected[-1])
        told(2 * clip.samples / SAMPLE_RATE)
    for batch in one.batches:
        _batch(tally, batch, one, ours.together([waves[i] for i in batch.places]), (expected, alone))
        told(one.seconds_of(batch))


def _batch(tally: Tally, batch: Batch, one: Round, found: Values, references: Sequence[Sequence[Value]]) -> None:
    tally.batches[batch.composition] += 1
    for place, value in zip(batch.places, found, strict=True):
        for against, reference in zip(Against, references, strict=True):
            tally.compare(against, one.clips[place], batch.composition, value, reference[place])


def _control(tally: Tally, peer: Peer, seed: int) -> None:
    waves = [Clip(number, "voice", int(s * SAMPLE_RATE)).wave(seed) for number, s in enumerate(CONTROL_S)]
    for wave, wrong in zip(waves, padded(peer, waves), strict=True):
        for output, difference in wrong.differences(judge(peer, wave)).items():
            tally.control[output] = max(difference, tally.control.get(output, 0.0))
