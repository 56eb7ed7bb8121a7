"""Who the oracle lets off: good records that faults alone made look deadly, as decision 12 counts them."""

import json
from collections.abc import Callable

import pytest

from streamproc.records.record import CommitOffset, TopicPartition
from streamproc.testing.decoders import waveform
from streamproc.testing.simulation.blame import Blame
from streamproc.testing.simulation.recordings import Kind, announce

IN = TopicPartition("in", 0)
GOOD = announce(7, Kind.PLAIN, 0, b"k", None)
"""At offset 5."""


class Owners:
    """Of one partition, one after the other."""

    def __init__(self) -> None:
        self.blame = Blame()
        self._number = 0

    def begin(self, offset: int) -> None:
        self._number += 1
        self.blame.assigned(f"owner {self._number}", [CommitOffset(*IN, offset)])

    def end(self, how: str) -> None:
        me = f"owner {self._number}"
        if how == "given back":
            self.blame.released(me, [IN])
        elif how != "killed":
            self.blame.ended(me)

    def excuses(self) -> bool:
        return self.blame.excuses(IN, 5, GOOD)


@pytest.fixture
def owners() -> Owners:
    return Owners()


def run(owners: Owners, *ends: tuple[str, int]) -> bool:
    """Owners that end in this way, after which the next one begins at an offset."""
    owners.begin(0)
    for how, offset in ends:
        owners.end(how)
        owners.begin(offset)
    return owners.excuses()


def test_who_was_there_when_faults_ended_five_owners_is_let_off(owners: Owners) -> None:
    assert not run(owners, *[("killed", 5)] * 4)
    owners.end("killed")
    owners.begin(5)
    assert owners.excuses()


def test_the_crashes_that_make_owners_careful_may_be_anybodys_but_not_the_strikes(owners: Owners) -> None:
    assert run(owners, ("a recording", 2), ("a recording", 2), *[("killed", 5)] * 3)


@pytest.mark.parametrize("how", ["given back", "by itself", "a recording"])
def test_ends_that_are_no_faults_let_nobody_off(owners: Owners, how: str) -> None:
    assert not run(owners, *[("killed", 5)] * 2, *[(how, 5)] * 10)


def test_the_first_owner_ended_nobody_and_ends_elsewhere_do_not_count(owners: Owners) -> None:
    assert not run(owners, *[("killed", 4)] * 10, *[("killed", 5)] * 2, *[("killed", 6)] * 10)


def test_who_lost_a_partition_has_it_back_and_gives_it_back_has_ended_once(owners: Owners) -> None:
    assert not run(owners, *[("killed", 5), ("given back", 5)] * 4)


def test_only_its_owner_can_give_a_partition_back(owners: Owners) -> None:
    owners.begin(5)
    for _ in range(5):
        owners.begin(5)
        owners.blame.released("owner 1", [IN])  # who stood still, and finds out
    assert owners.excuses()


@pytest.mark.parametrize(("count", "least"), [("devices", 3), ("decoders", 6)])
def test_deaths_let_only_those_off_who_were_alone_with_them(owners: Owners, count: str, least: int) -> None:
    key: Callable[[bytes], bytes] = {
        "devices": lambda body: waveform(body, 0, json.loads(body)["ms"]).tobytes(),
        "decoders": lambda body: body,
    }[count]
    deaths = getattr(owners.blame, count)
    deaths[key(announce(8, Kind.PLAIN, 0, b"k", None).body or b"")] = 100
    deaths[key(GOOD.body or b"")] = least - 1
    assert not owners.excuses()
    deaths[key(GOOD.body or b"")] = least
    assert owners.excuses()
    assert not owners.blame.excuses(IN, 5, announce(9, Kind.UNDECODABLE, 0, b"k", None))
