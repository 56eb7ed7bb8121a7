"""What becomes of records that were skipped when their topic is read again."""

from collections.abc import Callable

import pytest

from streamproc.operate.place import Place
from streamproc.operate.warehouse.reread import StandsError, read_again
from streamproc.operate.warehouse.skipped import SKIPPED, skipped
from tests.unit.operate.warehouse.modelled import NAME, SETTINGS, Cluster, at

Use = Callable[[Cluster], Cluster]


def again() -> list[Place]:
    told: list[Place] = []
    read_again(SETTINGS, NAME, told.append)
    return told


def test_a_topic_of_which_nothing_was_skipped_is_read_from_its_beginning(use: Use) -> None:
    cluster = use(Cluster("ggg"))
    cluster.rows.clear()
    assert again() == []
    assert cluster.rows == {at(0), at(1), at(2)}


def test_what_still_ends_it_is_passed_over_again_and_kept(use: Use) -> None:
    cluster = use(Cluster("gbgbg", **{SKIPPED: f"{at(1)} {at(3)}"}))
    assert again() == [at(1), at(3)]
    assert cluster.rows == {at(0), at(2), at(4)}
    assert skipped(cluster.now().config) == [at(1), at(3)]
    assert cluster.now().tasks == ("RUNNING",)


def test_what_is_healed_is_a_row_and_forgotten(use: Use) -> None:
    cluster = use(Cluster("ggb", **{SKIPPED: f"{at(1)} {at(2)}"}))
    assert again() == [at(2)]
    assert at(1) in cluster.rows
    assert skipped(cluster.now().config) == [at(2)]


def test_what_is_put_aside_on_the_way_is_not_taken_for_what_ends_it(use: Use) -> None:
    cluster = use(Cluster("gttbg", **{SKIPPED: str(at(3))}))
    assert again() == [at(3)]
    assert cluster.rows == {at(0), at(4)}


def test_another_record_that_ends_it_is_named(use: Use) -> None:
    cluster = use(Cluster("gbgb", **{SKIPPED: str(at(3))}))
    with pytest.raises(StandsError, match=r"ends at emotion.results/0/1, which nobody has skipped yet: refused"):
        again()
    assert skipped(cluster.now().config) == [at(3)]


def test_a_record_of_a_topic_that_is_gone_is_forgotten(use: Use) -> None:
    gone = Place(at(0).partition._replace(topic="gone"), 4)
    cluster = use(Cluster("gbg", **{SKIPPED: f"{at(1)} {gone}"}))
    assert again() == [at(1)]
    assert skipped(cluster.now().config) == [at(1)]
