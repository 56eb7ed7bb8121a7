"""Which records are passed over, and which are not."""

from collections.abc import Callable

import pytest

from streamproc.errors import UsageError
from streamproc.operate.place import Place
from streamproc.operate.warehouse.skip import pass_over
from streamproc.operate.warehouse.skipped import SKIPPED, skipped
from tests.unit.operate.warehouse.modelled import NAME, SETTINGS, Cluster, at

Use = Callable[[Cluster], Cluster]


def passed(*named: Place) -> list[Place]:
    return list(pass_over(SETTINGS, NAME, named).skipped)


def refused(cluster: Cluster, said: str, *named: Place) -> None:
    before = cluster.places(NAME)
    with pytest.raises(UsageError, match=said):
        passed(*named)
    assert cluster.places(NAME) == before
    assert cluster.made.keys() == {NAME}
    assert not skipped(cluster.now().config)
    assert cluster.now().tasks  # it goes on as it was


def test_what_ends_it_is_passed_over_and_what_lies_beside_it_is_a_row(use: Use) -> None:
    cluster = use(Cluster("g-gb-g-"))
    assert passed(at(3)) == [at(3)]
    assert cluster.rows == {at(0), at(2), at(5)}
    assert cluster.now().tasks == ("RUNNING",)
    assert skipped(cluster.now().config) == [at(3)]


@pytest.mark.parametrize(
    ("partition", "named", "said"),
    [
        ("gbg", 0, "emotion.results/0/0 is read without an error, and what ends it is emotion.results/0/1"),
        ("gbg", 2, "what ends it is emotion.results/0/1, which was not named"),
        ("gbbg", 1, "it ends at emotion.results/0/2 too, behind emotion.results/0/1"),
        ("b", 0, "is the last of its partition"),
        ("bg", 7, "there is no record at emotion.results/0/7"),
        ("-bg", 0, "there is no record at emotion.results/0/0"),
    ],
)
def test_what_nothing_shows_to_be_at_fault_is_not_passed_over(use: Use, partition: str, named: int, said: str) -> None:
    refused(use(Cluster(partition)), said, at(named))


def test_the_last_of_its_partition_is_passed_over_where_one_before_it_became_a_row(use: Use) -> None:
    use(Cluster("gb"))
    assert passed(at(1)) == [at(1)]


def test_what_was_put_aside_before_it_is_not_taken_for_what_ends_it(use: Use) -> None:
    cluster = use(Cluster("bgttbg"))
    refused(cluster, "what ends it is emotion.results/0/4, which was not named", at(0), at(5))
    assert passed(at(0), at(4)) == [at(0), at(4)]
    assert cluster.rows == {at(1), at(5)}


def test_what_was_put_aside_behind_it_is_no_proof_and_no_hindrance(use: Use) -> None:
    use(Cluster("gbt"))
    assert passed(at(1)) == [at(1)]


def test_one_that_was_skipped_before_does_not_stand_in_the_way(use: Use) -> None:
    cluster = use(Cluster("gbbg", **{SKIPPED: str(at(2))}))
    assert passed(at(1)) == [at(1), at(2)]
    assert skipped(cluster.now().config) == [at(1), at(2)]
    use(Cluster("gbb", **{SKIPPED: str(at(2))}))
    assert passed(at(1)) == [at(1), at(2)]


def test_records_of_two_partitions_are_passed_over_together(use: Use) -> None:
    cluster = use(Cluster("gbg", "bgg"))
    assert passed(at(0, 1), at(1)) == [at(1), at(0, 1)]
    assert cluster.rows == {at(0), at(2), at(1, 1), at(2, 1)}


def test_a_connector_that_runs_skips_nothing(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.operate.warehouse.skip.FAILS_S", 0.01)
    refused(use(Cluster("gg")), "runs: no record ends it", at(1))


def test_a_record_of_another_topic_is_not_taken(use: Use) -> None:
    other = Place(at(0).partition._replace(topic="other"), 0)
    refused(use(Cluster("gb")), "does not read other/0/0", other)


def test_what_is_passed_over_is_kept_before_the_connector_is_brought_behind_it(use: Use) -> None:
    cluster = use(Cluster("gbg"))
    passed(at(1))
    assert cluster.calls[-2:] == ["put", "move"]  # one that is kept, and was not passed over, is passed over next


@pytest.mark.parametrize("partition", ["tb", "bt", "btt"])
def test_what_was_put_aside_shows_nothing_of_a_warehouse_that_refuses_each_row(use: Use, partition: str) -> None:
    cluster = use(Cluster(partition))
    refused(cluster, "no record beside it is read without an error", at(partition.index("b")))


def test_a_row_behind_what_was_put_aside_shows_that_the_record_is_at_fault(use: Use) -> None:
    cluster = use(Cluster("bttg"))
    assert passed(at(0)) == [at(0)]
    assert cluster.rows == {at(3)}


def test_a_warehouse_that_refuses_each_row_is_seen_behind_what_was_put_aside(use: Use) -> None:
    refused(use(Cluster("bttb")), "it ends at emotion.results/0/3 too", at(0))
