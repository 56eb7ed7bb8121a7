from streamproc.records.record import Record, TopicPartition
from streamproc.testing.broker.log import PartitionLog, Transaction

NAME = TopicPartition("in", 0)


def put(log: PartitionLog, value: bytes, writer: Transaction | None = None, timestamp_ms: int = 0) -> int:
    return log.append(timestamp_ms, None, value, (), writer).offset


def end(log: PartitionLog, writer: Transaction, *, commit: bool) -> None:
    writer.open, writer.committed = False, commit
    log.mark(writer)


def visible(log: PartitionLog) -> list[tuple[int, bytes | None]]:
    return [(record.offset, record.value) for record in log.fetch(log.start, 100)[0]]


def test_a_record_stands_at_the_end_with_all_it_has() -> None:
    log = PartitionLog(NAME, None)
    put(log, b"0")
    record = log.append(7, b"k", b"v", (("h", None),), None)
    assert record == Record("in", 0, 1, 7, b"k", b"v", (("h", None),))
    assert (log.start, log.end) == (0, 2)


def test_an_open_transaction_hides_itself_and_what_stands_behind_it() -> None:
    log = PartitionLog(NAME, None)
    first, second = Transaction(), Transaction()
    put(log, b"0")
    put(log, b"1", first)
    put(log, b"2", second)
    put(log, b"3")
    end(log, second, commit=True)
    assert log.last_stable == 1
    assert visible(log) == [(0, b"0")]
    end(log, first, commit=True)
    assert log.last_stable == log.end == 6
    assert visible(log) == [(0, b"0"), (1, b"1"), (2, b"2"), (3, b"3")]


def test_aborted_records_and_control_records_take_offsets_and_are_not_read() -> None:
    log = PartitionLog(NAME, None)
    writer = Transaction()
    put(log, b"0", writer)
    put(log, b"1")
    end(log, writer, commit=False)
    put(log, b"3")
    assert visible(log) == [(1, b"1"), (3, b"3")]
    assert [record.offset for record in log.fetch(0, 100, "read_uncommitted")[0]] == [0, 1, 3]


def test_a_fetch_goes_on_where_the_last_one_stopped() -> None:
    log = PartitionLog(NAME, None)
    for number in range(5):
        put(log, b"%d" % number)
    log.remove(2)
    first, place = log.fetch(0, 2)
    second, end_place = log.fetch(place, 9)
    assert [record.offset for record in (*first, *second)] == [0, 1, 3, 4]
    assert end_place == 5
    assert log.fetch(5, 9) == ([], 5)


def test_what_is_deleted_is_gone_and_the_rest_keeps_its_offsets() -> None:
    log = PartitionLog(NAME, None)
    writer = Transaction()
    put(log, b"0", writer)
    for number in range(1, 5):
        put(log, b"%d" % number)
    log.delete_before(3)
    assert (log.start, log.end, log.last_stable) == (3, 5, 3)
    end(log, writer, commit=True)
    assert visible(log) == [(3, b"3"), (4, b"4")]
    log.delete_before(99)
    assert (log.start, log.end) == (6, 6)


def test_retention_lets_go_of_what_is_old_and_keeps_what_follows_a_young_record() -> None:
    log = PartitionLog(NAME, 1000)
    for timestamp_ms in (0, 500, 2000, 100):
        put(log, b"", timestamp_ms=timestamp_ms)
    log.pass_retention(1000)
    assert log.start == 0
    log.pass_retention(1501)
    assert log.start == 2
    log.pass_retention(3000)
    assert log.start == 2
    log.pass_retention(3001)
    assert log.start == 4
