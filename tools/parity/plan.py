"""In which company clips are run: rounds of a few clips, each round in batches of many compositions and orders."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from streamproc.arena import SAMPLE_RATE
from tools.parity.clips import Clip

ROUND = 32
"""Clips whose numbers are held at a time: what bounds the memory."""
MOST_CLIPS = 8
MOST_SECONDS = 60.0
"""Of padded audio in one batch: the stem's first layer takes 6.5 MB for each."""
MOST_BESIDE_LONGEST = 12
TWINS = 3

Places = Sequence[int]


@dataclass(frozen=True, slots=True)
class Batch:
    """What runs in one pass: places of clips in their round, in the order of the batch's rows."""

    composition: str
    places: Places


@dataclass(frozen=True, slots=True)
class Round:
    """Clips, and the batches that they are run in, after each was run alone."""

    clips: Sequence[Clip]
    batches: Sequence[Batch]

    def seconds_of(self, batch: Batch) -> float:
        """Audio in a batch, padding too."""
        return len(batch.places) * max(self.clips[i].samples for i in batch.places) / SAMPLE_RATE

    @property
    def seconds(self) -> float:
        """Audio that is computed: by FunASR, alone, and in all batches."""
        alone = 2 * sum(clip.samples for clip in self.clips) / SAMPLE_RATE
        return alone + sum(map(self.seconds_of, self.batches))


def plan(clips: Sequence[Clip], seed: int) -> tuple[Round, ...]:
    """Deal clips into rounds, each with short and long ones."""
    count = -(-len(clips) // ROUND)
    ranked = sorted(clips, key=lambda clip: clip.samples)
    random = np.random.default_rng(seed)
    return tuple(Round(dealt, list(_batches(dealt, random))) for dealt in (ranked[i::count] for i in range(count)))


def _batches(clips: Sequence[Clip], random: np.random.Generator) -> Iterator[Batch]:
    """The clips of a round stand in the order of their lengths."""
    lengths = [clip.samples for clip in clips]
    every = range(len(clips))
    orders = {
        "ascending": list(every),
        "descending": list(reversed(every)),
        "shuffled": random.permutation(len(clips)).tolist(),
        "shuffled anew": random.permutation(len(clips)).tolist(),
    }
    for name, order in orders.items():
        yield from (Batch(name, places) for places in cut(order, lengths, random))
    *shorter, longest = every
    room = max(1, int(MOST_SECONDS * SAMPLE_RATE / lengths[longest]) - 1)
    beside = shorter[: min(room, MOST_BESIDE_LONGEST)]
    beside.insert(int(random.integers(len(beside) + 1)), longest)
    yield Batch("one long, many short", beside)
    for first in random.integers(len(shorter), size=TWINS).tolist():
        # Three of a kind, with a longer clip and a shorter one between them.
        yield Batch("twins", [first, first + 1, first, max(0, first - 1), first])


def cut(order: Places, lengths: Sequence[int], random: np.random.Generator) -> Iterator[Places]:
    """Cut an order into batches of random sizes, none of which pads to more than ``MOST_SECONDS``."""
    places: list[int] = []
    size = 0
    for place in order:
        longest = max((lengths[i] for i in (*places, place)), default=0)
        if places and (len(places) == size or (len(places) + 1) * longest > MOST_SECONDS * SAMPLE_RATE):
            yield places
            places = []
        if not places:
            size = int(random.integers(1, MOST_CLIPS, endpoint=True))
        places.append(place)
    if places:
        yield places
