"""What every analyzer has to keep to. Run each of ``CHECKS`` on a new one; docs/analyzers.md shows how.

They find what a worker would otherwise find in production: an item that takes its batch along, a number that depends on
company, a result that is shared although something changed it.
"""

import re
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from streamproc.analyzer import MOST_LABELS, Analyzer, Wave
from streamproc.arena import SAMPLE_RATE, SLOT_SAMPLES
from streamproc.emotion.device_message import (
    MAX_BYTES,
    MAX_ITEMS,
    Embedded,
    Ready,
    decode_answer,
    encode_answer,
    encode_done,
)
from streamproc.records.compute import BatchDone, ItemError, Scored
from streamproc.records.embedding import MOST_DIM, problem_of, unpack
from streamproc.records.identity import ModelIdentity, fingerprint

SHORTEST = SAMPLE_RATE // 40
"""25 ms: a worker hands out nothing shorter."""
LENGTHS = (SHORTEST, 3 * SAMPLE_RATE, 7_000, SAMPLE_RATE, 401)
SUM_BOUND = 1e-4
"""Shares are rounded; this is far over what rounding leaves, and under what anybody reads."""
COLD_S = 1.0
"""What loading or compiling takes at least, and no busy machine adds to a short run that is warm."""
COLD_TIMES = 10


class BrokenContractError(AssertionError):
    """Raised when an analyzer does not do what ``streamproc.analyzer.Analyzer`` promises."""


class Subject:
    """An analyzer to be checked.

    ``make``             gives a new one at each call, always the same
    ``altered``          gives one that differs in something that changes numbers: other weights, another threshold
    ``bound``            the largest difference that company may make to a score, as the analyzer's documentation states
    ``embedding_bound``  the same for a number of an embedding, of an analyzer that has some
    """

    def __init__(
        self,
        make: Callable[[], Analyzer],
        altered: Callable[[], Analyzer],
        bound: float = 0.0,
        embedding_bound: float = 0.0,
    ) -> None:
        self.make = make
        self.altered = altered
        self.bound = bound
        self.embedding_bound = embedding_bound

    @cached_property
    def analyzer(self) -> Analyzer:
        """One for all checks that need no new one, warm."""
        analyzer = self.make()
        _ = analyzer.profile
        return analyzer

    def values(self, waves: Sequence[Wave]) -> list[Scored]:
        """Those of ordinary sounds, which all have one."""
        return _values(self.analyzer, waves)

    def same(self, apart: "Apart") -> bool:
        """Whether values differ by no more than company may make them."""
        return apart.scores <= self.bound and apart.embeddings <= self.embedding_bound


class Apart(NamedTuple):
    """The largest difference between two lists of values; infinite where one has none."""

    scores: float
    embeddings: float

    def __str__(self) -> str:
        return f"scores by {self.scores:.1e} and embeddings by {self.embeddings:.1e}"


Check = Callable[[Subject], None]


def gives_a_value_for_each_item(subject: Subject) -> None:
    """As many answers as items, each of them shares of the labels that can cross to another process.

    With an embedding of ``identity.embed_dim`` numbers, or none where that is 0.
    """
    answers = _answers(subject.analyzer, _sounds())
    errors = [answer for answer in answers if isinstance(answer, ItemError)]
    _require(not errors, f"an ordinary sound is an error: {errors}")


def takes_the_shortest_and_the_longest(subject: Subject) -> None:
    """25 ms and 15 s, silence and full scale: a value or an error."""
    for samples in (SHORTEST, SLOT_SAMPLES):
        square = np.where(np.arange(samples) % 100 < 50, 1, -1).astype(np.float32)  # noqa: PLR2004  # 160 Hz
        _answers(subject.analyzer, [np.zeros(samples, np.float32), square])


def takes_an_empty_batch(subject: Subject) -> None:
    """Nothing in, nothing out."""
    _answers(subject.analyzer, [])


def harms_no_neighbour(subject: Subject) -> None:
    """Samples that are no numbers are an error of their item; neither they nor oddities touch what is beside them."""
    broken = [np.full(SAMPLE_RATE, value, np.float32) for value in (np.nan, np.inf, -np.inf)]
    odd = [np.zeros(0, np.float32), np.ones(1, np.float32), np.full(SAMPLE_RATE, 3e38, np.float32)]
    sounds = _sounds()
    without = subject.values(sounds)
    for bad in broken + odd:
        before, answer, *after = _answers(subject.analyzer, [sounds[0], bad, *sounds[1:]])
        apart = _difference([before, *after], without)
        _require(subject.same(apart), f"{_name(bad)} changes what is beside it: {apart}")
        if any(bad is one for one in broken):
            _require(isinstance(answer, ItemError), f"{_name(bad)} has a value: {answer}")


def gives_the_same_in_any_company(subject: Subject) -> None:
    """A value is its segment's own, within ``bound`` and ``embedding_bound``."""
    sounds = _sounds()
    alone = [value for sound in sounds for value in subject.values([sound])]
    for places in (range(len(sounds)), range(len(sounds))[::-1], (1, 0, 0, 0, 4), (2, 2)):
        found = subject.values([sounds[place] for place in places])
        apart = _difference(found, [alone[place] for place in places])
        allowed = Apart(subject.bound, subject.embedding_bound)
        _require(subject.same(apart), f"company changes {apart}, over the bounds: {allowed}")


def gives_the_same_again(subject: Subject) -> None:
    """The same batch, bit for bit; and a new one of the kind, within the bounds."""
    sounds = _sounds()
    first = subject.values(sounds)
    _require(subject.values(sounds) == first, "the same batch gives other values the second time")
    another = _difference(_values(subject.make(), sounds), first)
    _require(subject.same(another), f"a new one of it gives values that differ: {another}")


def costs_more_for_more(subject: Subject) -> None:
    """A cost over 0 that rises with the items and never falls with their length; batches of one item at least."""
    profile = subject.analyzer.profile
    lengths = sorted({*LENGTHS, SLOT_SAMPLES})
    costs = [profile.cost([samples]) for samples in lengths]
    _require(costs[0] > 0, f"{lengths[0]} samples cost {costs[0]} s")
    _require(all(a <= b for a, b in pairwise(costs)), f"longer segments cost less: {costs}")
    _require(all(profile.cost([n] * 2) > profile.cost([n]) for n in lengths), "two segments cost no more than one")
    most = [profile.most_items(samples) for samples in lengths]
    _require(most[-1] >= 1, f"a batch of the longest has {most[-1]} items")
    _require(all(a >= b for a, b in pairwise(most)), f"longer segments are more at once: {most}")


def is_warm_when_its_profile_is_read(subject: Subject) -> None:
    """A worker joins its group after that: what is slow only once must be over."""
    analyzer, sound = subject.make(), _sounds()[3]
    profile = analyzer.profile
    first, *others = (_seconds(analyzer, sound) for _ in range(4))
    told = f"the first batch takes {first:.2f} s, later ones {min(others):.3f} s"
    _require(first <= COLD_S + COLD_TIMES * min(others), told)
    _require(analyzer.profile == profile, "its profile is another at each look")


def has_a_fingerprint_of_its_numbers(subject: Subject) -> None:
    """The same for the same numbers, whatever was run; another where anything changes one."""
    identity = subject.make().identity
    subject.values(_sounds())
    for again in (subject.analyzer.identity, subject.make().identity):
        _require(again == identity, f"the same analyzer is {again}, and was {identity}")
    altered = subject.altered()
    same = fingerprint(altered.identity, "mix") == fingerprint(identity, "mix")
    _require(not same, "what was altered has the same fingerprint: old results would be taken for its own")
    if altered.identity.labels == identity.labels:
        apart = _difference(_values(altered, _sounds()), subject.values(_sounds()))
        _require(apart.scores > subject.bound, "what was altered changes no score, so this shows nothing")


def says_what_it_is(subject: Subject) -> None:
    """An identity and a profile that reach the worker as they are, and labels that a row can have."""
    identity = subject.analyzer.identity
    labels = identity.labels
    _require(bool(identity.name and identity.engine and identity.precision), f"a name is empty: {identity}")
    _require(re.fullmatch("[0-9a-f]{64}", identity.weights_sha256) is not None, "weights_sha256 is no sha256")
    _require(1 <= len(labels) <= MOST_LABELS, f"{len(labels)} labels, not 1 to {MOST_LABELS}")
    _require(len(set(labels)) == len(labels) and all(labels), f"labels are empty, or the same: {labels}")
    _require(0 <= identity.embed_dim <= MOST_DIM, f"embeddings of {identity.embed_dim} numbers, not 0 to {MOST_DIM}")
    ready = Ready(identity, subject.analyzer.profile)
    _require(decode_answer(encode_answer(ready)) == ready, f"it does not reach the worker as it is: {ready}")


CHECKS: tuple[Check, ...] = (
    gives_a_value_for_each_item,
    takes_the_shortest_and_the_longest,
    takes_an_empty_batch,
    harms_no_neighbour,
    gives_the_same_in_any_company,
    gives_the_same_again,
    costs_more_for_more,
    is_warm_when_its_profile_is_read,
    has_a_fingerprint_of_its_numbers,
    says_what_it_is,
)


def _answers(analyzer: Analyzer, batch: Sequence[Wave]) -> list[Scored | ItemError]:
    try:
        answers = list(analyzer.run(batch))
    except Exception as error:  # whatever it is, it took its neighbours along
        told = f"it raises for {', '.join(map(_name, batch)) or 'an empty batch'}: {error!r}"
        raise BrokenContractError(told) from error
    _require(len(answers) == len(batch), f"{len(answers)} answers for {len(batch)} items")
    for answer in answers:
        _check_answer(answer, analyzer.identity)
    return answers


def _check_answer(answer: Scored | ItemError, identity: ModelIdentity) -> None:
    if isinstance(answer, ItemError):
        _require(bool(answer.message), "an error does not say why")
        return
    _require(isinstance(answer, Scored), f"an answer is a {type(answer).__name__}, neither Scored nor ItemError")
    scores, labels = answer.scores, len(identity.labels)
    _require(isinstance(scores, tuple), f"scores are a {type(scores).__name__}, no tuple")
    _require(len(scores) == labels, f"{len(scores)} scores for {labels} labels")
    _require(all(type(score) is float for score in scores), f"scores that are no floats of Python: {scores}")
    shares = all(0 <= score <= 1 for score in scores) and abs(sum(scores) - 1) <= SUM_BOUND
    _require(shares, f"scores that are no shares of 1: {scores}")
    _require(isinstance(answer.embedding, bytes), f"an embedding is a {type(answer.embedding).__name__}, not packed")
    problem = problem_of(answer.embedding, identity.embed_dim)
    _require(not problem, f"what is said to be an embedding of {identity.embed_dim} numbers is none: {problem}")
    _check_crossing(answer)


def _check_crossing(answer: Scored) -> None:
    """As many of it as go into one batch, each with its embedding, have to reach the worker."""
    done = BatchDone(1, (answer,) * MAX_ITEMS, 0.0)
    *ahead, last = encode_done(done)
    plain = BatchDone(1, (Scored(answer.scores),) * MAX_ITEMS, 0.0)
    embedded = [Embedded(1, place, answer.embedding) for place in range(MAX_ITEMS)] if answer.embedding else []
    try:
        same = [decode_answer(message) for message in (*ahead, last)] == [*embedded, plain]
    except ValueError:
        same = False
    reaches = same and max(map(len, (*ahead, last))) < MAX_BYTES
    _require(reaches, f"it does not reach the worker: {str(answer)[:200]}")


def _values(analyzer: Analyzer, waves: Sequence[Wave]) -> list[Scored]:
    values = [answer for answer in _answers(analyzer, waves) if not isinstance(answer, ItemError)]
    _require(len(values) == len(waves), "an ordinary sound is an error")
    return values


def _difference(found: Sequence[Scored | ItemError], expected: Sequence[Scored]) -> Apart:
    both = [(one, other) for one, other in zip(found, expected, strict=True) if isinstance(one, Scored)]
    if len(both) < len(expected):
        return Apart(float("inf"), float("inf"))
    scores = [np.abs(np.subtract(one.scores, other.scores)).max() for one, other in both]
    embeddings = [_apart(unpack(one.embedding), unpack(other.embedding)) for one, other in both]
    return Apart(float(max(scores)), max(embeddings))


def _apart(one: Wave, other: Wave) -> float:
    return float(np.abs(one - other).max(initial=0)) if one.shape == other.shape else float("inf")


def _sounds() -> list[Wave]:
    """Noise at levels from a whisper to a shout, of several lengths: no two have the same numbers."""
    random = np.random.default_rng(7)
    made = [10 ** random.uniform(-2.5, -0.5) * random.normal(size=samples) for samples in LENGTHS]
    return [np.clip(wave, -1, 1).astype(np.float32) for wave in made]


def _seconds(analyzer: Analyzer, wave: Wave) -> float:
    start = time.perf_counter()
    analyzer.run([wave])
    return time.perf_counter() - start


def _name(wave: Wave) -> str:
    constant = len(wave) > 0 and np.array_equal(wave, np.full_like(wave, wave[0]), equal_nan=True)
    return f"{len(wave)} samples" + (f" of {wave[0]:g}" if constant else "")


def _require(holds: bool, told: str) -> None:  # noqa: FBT001  # it reads as an assertion
    if not holds:
        raise BrokenContractError(told)
