from streamproc.records.record import CommitOffset, Record, TopicPartition
from streamproc.worker.core.lag import Behind, Lag

T = "audio.recordings"
P0, P1 = TopicPartition(T, 0), TopicPartition(T, 1)


def record(partition: int, offset: int, at_ms: int) -> Record:
    return Record(T, partition, offset, at_ms, None, b"")


def owned(now_ms: int = 10_000) -> Lag:
    lag = Lag()
    lag.begin([CommitOffset(T, 0, 5), CommitOffset(T, 1, 0)], now_ms)
    return lag


def test_nothing_is_said_of_partitions_whose_end_is_not_known() -> None:
    assert owned().behind(20_000) == {}


def test_a_backlog_is_as_old_as_its_first_record() -> None:
    lag = owned()
    lag.arrived([record(0, 5, 3_000), record(0, 6, 4_000), record(1, 0, 9_000)])
    lag.ended({P0: 105, P1: 1}, 11_000)
    assert lag.behind(13_000) == {T: Behind(101, 10_000)}


def test_before_anything_came_it_grows_from_the_assignment() -> None:
    lag = owned()
    lag.ended({P0: 6}, 11_000)
    assert lag.behind(13_000) == {T: Behind(1, 3_000)}


def test_a_commit_moves_it_up_to_the_last_record_that_is_committed() -> None:
    lag = owned()
    lag.arrived([record(0, 5, 3_000)])
    lag.ended({P0: 105}, 11_000)
    lag.committed(P0, 55, 8_000)
    assert lag.behind(13_000) == {T: Behind(50, 5_000)}


def test_who_was_caught_up_is_late_from_then_on_at_most() -> None:
    lag = owned()
    lag.arrived([record(0, 5, 3_000)])
    lag.committed(P0, 6, 3_000)
    lag.ended({P0: 6, P1: 0}, 60_000)
    assert lag.behind(61_000) == {T: Behind(0, 0)}
    lag.ended({P0: 7, P1: 0}, 65_000)
    assert lag.behind(66_000) == {T: Behind(1, 6_000)}


def test_a_partition_that_is_gone_is_counted_no_more() -> None:
    lag = owned()
    lag.ended({P0: 105, P1: 7}, 11_000)
    lag.end([P0])
    assert lag.behind(12_000) == {T: Behind(7, 2_000)}


def test_marks_of_transactions_behind_the_last_record_are_nothing_that_waits() -> None:
    lag = owned()
    lag.arrived([record(0, 5, 3_000)])
    lag.committed(P0, 6, 3_000)
    lag.ended({P0: 8}, 11_000)
    assert lag.behind(12_000) == {T: Behind(2, 9_000)}, "records, for all that is known"
    lag.drained({P0: 8})
    assert lag.behind(12_000) == {T: Behind(0, 0)}
    lag.ended({P0: 8}, 60_000)
    lag.ended({P0: 9}, 62_000)
    assert lag.behind(63_000) == {T: Behind(1, 3_000)}, "what came since is counted from then on"


def test_what_was_taken_waits_until_it_is_committed_whatever_stands_behind_it() -> None:
    lag = owned()
    lag.arrived([record(0, 5, 3_000), record(0, 6, 4_000)])
    lag.committed(P0, 6, 3_000)
    lag.drained({P0: 9})
    lag.ended({P0: 9}, 11_000)
    assert lag.behind(12_000) == {T: Behind(3, 9_000)}
