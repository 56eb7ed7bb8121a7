"""Each check finds what it is for: one sound analyzer that keeps the contract, and many that break it."""

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from streamproc.analyzer import Wave
from streamproc.records.compute import ItemError, Scored
from streamproc.records.embedding import MOST_DIM, pack
from streamproc.records.identity import ModelIdentity
from streamproc.records.profile import Profile
from streamproc.testing.analyzer import CHECKS, BrokenContractError, Check, Subject

PROFILE = Profile(most_samples=0, pass_s=1e-4, sample_s=1e-9, square_s=0.0)
COLD_S = 0.2
serial = count()


class Level:
    """Keeps the contract: the level of a segment, against a threshold."""

    def __init__(self, threshold: float = -30.0) -> None:
        self.threshold = threshold
        labels = ("loud", "quiet")
        self.identity = ModelIdentity("level", _hash(threshold), "fp64", labels, engine="level 1", embed_dim=2)
        self.profile = PROFILE

    def run(self, batch: Sequence[Wave]) -> Any:
        return [self.one(wave) for wave in batch]

    def one(self, wave: Wave) -> Any:
        if not len(wave) or not np.isfinite(wave).all():
            return ItemError("no numbers")
        level = 10 * np.log10(np.square(wave, dtype=np.float64).mean() + 1e-12)
        shares = self.shares(level)
        return shares if isinstance(shares, ItemError) else Scored(shares, self.embedding(level, len(wave)))

    def embedding(self, level: float, samples: int) -> Any:
        return pack(np.array([level, samples]))

    def shares(self, level: float) -> Any:
        loud = float(1 / (1 + np.exp(self.threshold - level)))
        return loud, 1 - loud


def _hash(value: object) -> str:
    return hashlib.sha256(str(value).encode()).hexdigest()


class DropsAnItem(Level):
    def run(self, batch: Sequence[Wave]) -> Any:
        return super().run(batch)[: max(1, len(batch) - 1)] if batch else []


class GivesNumpysNumbers(Level):
    def shares(self, level: float) -> Any:
        return tuple(map(np.float64, super().shares(level)))


class GivesLists(Level):
    def shares(self, level: float) -> Any:
        return list(super().shares(level))


class GivesAScoreTooMany(Level):
    def shares(self, level: float) -> Any:
        return *super().shares(level), 0.0


class GivesScoresAlone(Level):
    def one(self, wave: Wave) -> Any:
        found = super().one(wave)
        return found if isinstance(found, ItemError) else found.scores


class GivesNoEmbedding(Level):
    def embedding(self, level: float, samples: int) -> Any:
        return super().embedding(level, samples)[:0]


class GivesHalfAnEmbedding(Level):
    def embedding(self, level: float, samples: int) -> Any:
        return super().embedding(level, samples)[:4]


class GivesAnEmbeddingThatItDoesNotDeclare(Level):
    def __init__(self, threshold: float = -30.0) -> None:
        super().__init__(threshold)
        self.identity = replace(self.identity, embed_dim=0)


class GivesAnEmbeddingOfNan(Level):
    def embedding(self, level: float, samples: int) -> Any:
        return super().embedding(level * np.nan, samples)


class GivesAnArray(Level):
    def embedding(self, level: float, samples: int) -> Any:
        return np.array([level, samples], np.float32)


class HasEmbeddingsWithoutAnEnd(Level):
    def __init__(self, threshold: float = -30.0) -> None:
        super().__init__(threshold)
        self.identity = replace(self.identity, embed_dim=MOST_DIM + 1)

    def embedding(self, level: float, samples: int) -> Any:
        return pack(np.full(MOST_DIM + 1, level + samples))


class GivesNoShares(Level):
    def shares(self, level: float) -> Any:
        return super().shares(level)[0], 0.0


class GivesNoNumbers(Level):
    def shares(self, level: float) -> Any:
        del level
        return float("nan"), 1.0


class RefusesEverything(Level):
    def shares(self, level: float) -> Any:
        return ItemError(f"{level}")


class RefusesWithoutAWord(Level):
    def shares(self, level: float) -> Any:
        return ItemError(f"{level:.0}"[:0])


class RaisesForTheShortest(Level):
    def one(self, wave: Wave) -> Any:
        if len(wave) == 400:
            raise ValueError("kernel size")
        return super().one(wave)


class RaisesForSilence(Level):
    def one(self, wave: Wave) -> Any:
        return super().one(wave) if not len(wave) or wave.any() else 1 / 0


class RaisesForNothing(Level):
    def run(self, batch: Sequence[Wave]) -> Any:
        longest = max(len(wave) for wave in batch)
        return [self.one(wave[:longest]) for wave in batch]


class RaisesForNan(Level):
    def one(self, wave: Wave) -> Any:
        if not np.isfinite(wave).all():
            raise FloatingPointError("invalid value")
        return super().one(wave)


class InventsAValueForNan(Level):
    def one(self, wave: Wave) -> Any:
        return super().one(np.nan_to_num(wave, nan=0.1, posinf=0.1, neginf=0.1))


class LetsNanTakeItsNeighbours(Level):
    def run(self, batch: Sequence[Wave]) -> Any:
        whole = all(np.isfinite(wave).all() for wave in batch)
        return super().run(batch) if whole else [ItemError("somebody's samples are no numbers")] * len(batch)


class NormalisesByTheBatch(Level):
    def run(self, batch: Sequence[Wave]) -> Any:
        peak = max((float(np.abs(wave).max(initial=0)) for wave in batch if np.isfinite(wave).all()), default=1.0)
        return super().run([wave / np.float32(peak or 1) for wave in batch])


class EmbedsTheBatch(Level):
    def run(self, batch: Sequence[Wave]) -> Any:
        self.company = len(batch)
        return super().run(batch)

    def embedding(self, level: float, samples: int) -> Any:
        return super().embedding(level + self.company, samples)


class DrawsEmbeddings(Level):
    def embedding(self, level: float, samples: int) -> Any:
        return super().embedding(level + next(serial), samples)


class DrawsLots(Level):
    def __init__(self, threshold: float = -30.0) -> None:
        super().__init__(threshold)
        self.random = np.random.default_rng(next(serial))

    def shares(self, level: float) -> Any:
        return super().shares(level + self.random.normal())


class IsAnotherEachTime(Level):
    def __init__(self, threshold: float = -30.0) -> None:
        super().__init__(threshold)
        self.threshold += next(serial) + 1


class CostsNothing(Level):
    def __init__(self, threshold: float = -30.0) -> None:
        super().__init__(threshold)
        self.profile = replace(PROFILE, pass_s=0.0, sample_s=0.0)


class CostsLessForMore(Level):
    def __init__(self, threshold: float = -30.0) -> None:
        super().__init__(threshold)
        self.profile = replace(PROFILE, pass_s=1.0, sample_s=-1e-6)


class MeasuresAtEachLook(Level):
    def __init__(self, threshold: float = -30.0) -> None:
        self.looks = 0
        super().__init__(threshold)

    @property
    def profile(self) -> Profile:
        self.looks += 1
        return replace(PROFILE, pass_s=self.looks * 1e-4)

    @profile.setter
    def profile(self, value: Profile) -> None:
        """Leave it."""


class LoadsWithItsFirstBatch(Level):
    def __init__(self, threshold: float = -30.0) -> None:
        super().__init__(threshold)
        self.loaded = False

    def run(self, batch: Sequence[Wave]) -> Any:
        if not self.loaded:
            time.sleep(COLD_S)
        self.loaded = True
        return super().run(batch)


class ForgetsItsThreshold(Level):
    def __init__(self, threshold: float = -30.0) -> None:
        super().__init__(threshold)
        self.identity = replace(self.identity, weights_sha256=_hash("always"))


class HasAFingerprintOfTheMoment(Level):
    def __init__(self, threshold: float = -30.0) -> None:
        super().__init__(threshold)
        self.identity = replace(self.identity, weights_sha256=_hash(next(serial)))


class IgnoresItsThreshold(Level):
    def shares(self, level: float) -> Any:
        self.threshold = -30.0
        return super().shares(level)


class HasOneLabelTwice(Level):
    def __init__(self, threshold: float = -30.0) -> None:
        super().__init__(threshold)
        self.identity = replace(self.identity, labels=("loud", "loud"))


class HasNoHash(Level):
    def __init__(self, threshold: float = -30.0) -> None:
        super().__init__(threshold)
        self.identity = replace(self.identity, weights_sha256=str(threshold))


class HasLabelsInAList(Level):
    def __init__(self, threshold: float = -30.0) -> None:
        super().__init__(threshold)
        labels: Any = ["loud", "quiet"]
        self.identity = replace(self.identity, labels=labels)


def breaks(subject: Subject, check: Check) -> bool:
    try:
        check(subject)
    except BrokenContractError as error:
        return bool(str(error))
    return False


@pytest.fixture(autouse=True)
def _soon_cold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.testing.analyzer.COLD_S", COLD_S / 2)


def broken_by(make: Callable[..., Level]) -> set[str]:
    subject = Subject(make, lambda: make(-40.0))
    return {check.__name__ for check in CHECKS if breaks(subject, check)}


def test_one_that_keeps_it_breaks_nothing() -> None:
    assert broken_by(Level) == set()


ONLY: Mapping[str, Sequence[type[Level]]] = {
    "takes_the_shortest_and_the_longest": [RaisesForSilence],
    "takes_an_empty_batch": [RaisesForNothing],
    "harms_no_neighbour": [RaisesForNan, InventsAValueForNan, LetsNanTakeItsNeighbours],
    "gives_the_same_again": [IsAnotherEachTime],
    "costs_more_for_more": [CostsNothing, CostsLessForMore],
    "is_warm_when_its_profile_is_read": [LoadsWithItsFirstBatch, MeasuresAtEachLook],
    "has_a_fingerprint_of_its_numbers": [ForgetsItsThreshold, HasAFingerprintOfTheMoment, IgnoresItsThreshold],
    "says_what_it_is": [HasOneLabelTwice, HasNoHash, HasLabelsInAList],
}
AND_MORE: Mapping[str, Sequence[type[Level]]] = {
    "gives_a_value_for_each_item": [
        *(DropsAnItem, GivesNumpysNumbers, GivesLists, GivesAScoreTooMany, GivesNoShares, GivesNoNumbers),
        *(RefusesEverything, RefusesWithoutAWord, GivesScoresAlone, GivesNoEmbedding, GivesHalfAnEmbedding),
        *(GivesAnEmbeddingThatItDoesNotDeclare, GivesAnEmbeddingOfNan, GivesAnArray, HasEmbeddingsWithoutAnEnd),
    ],
    "takes_the_shortest_and_the_longest": [RaisesForTheShortest],
    "gives_the_same_in_any_company": [NormalisesByTheBatch, EmbedsTheBatch],
    "gives_the_same_again": [DrawsLots, DrawsEmbeddings],
    "says_what_it_is": [HasEmbeddingsWithoutAnEnd],
}
"""What is wrong with every answer shows wherever answers are compared."""


def rows(table: Mapping[str, Sequence[type[Level]]]) -> list[Any]:
    return [pytest.param(kind, check, id=kind.__name__) for check, kinds in table.items() for kind in kinds]


@pytest.mark.parametrize(("kind", "check"), rows(ONLY))
def test_what_is_broken_in_one_way_breaks_one_check(kind: type[Level], check: str) -> None:
    assert broken_by(kind) == {check}


@pytest.mark.parametrize(("kind", "check"), rows(AND_MORE))
def test_wrong_answers_are_found_by_the_check_for_them(kind: type[Level], check: str) -> None:
    assert check in broken_by(kind)


def test_each_check_finds_something() -> None:
    assert {*ONLY, *AND_MORE} == {check.__name__ for check in CHECKS}


class Rounds(Level):
    """As batched products do."""

    def run(self, batch: Sequence[Wave]) -> Any:
        found = super().run(batch)
        return [rounded(one) for one in found] if len(batch) > 1 else found


def rounded(one: Scored | ItemError) -> Scored | ItemError:
    if isinstance(one, ItemError):
        return one
    return replace(one, scores=tuple(score + 1e-6 * (0.5 - score) for score in one.scores))


def test_a_bound_allows_what_it_says_and_no_more() -> None:
    def broken(bound: float) -> set[str]:
        subject = Subject(Rounds, lambda: Rounds(-40.0), bound)
        return {check.__name__ for check in CHECKS if breaks(subject, check)}

    assert broken(5e-7) == set()
    assert broken(1e-7) == {"gives_the_same_in_any_company"}


class RoundsEmbeddings(EmbedsTheBatch):
    def embedding(self, level: float, samples: int) -> Any:
        return pack(np.array([level + 1e-3 * min(self.company, 2), samples]))


def test_embeddings_have_a_bound_of_their_own() -> None:
    def broken(bound: float) -> set[str]:
        subject = Subject(RoundsEmbeddings, lambda: RoundsEmbeddings(-40.0), bound=1.0, embedding_bound=bound)
        return {check.__name__ for check in CHECKS if breaks(subject, check)}

    others = {"has_a_fingerprint_of_its_numbers"}  # a bound of 1 takes any scores for the same
    assert broken(2e-3) == others
    assert broken(5e-4) == {"gives_the_same_in_any_company", *others}
