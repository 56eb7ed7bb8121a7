"""The audit on a real broker: what is right is proved, each fault that was planted is named at its place."""

from collections.abc import Iterator

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from streamproc.errors import UsageError
from streamproc.operate.audit.finding import Fault
from streamproc.operate.audit.read import audit
from streamproc.operate.audit.window import Selection
from streamproc.records.ledger import Transaction, build_entry
from streamproc.records.record import TopicPartition as Place
from streamproc.settings import Settings
from tests.beside import beside
from tests.integration.audited import faults, prove, results, unheard
from tests.integration.planted import ANSWER_S, World, now_ms, own_topics, plant


@pytest.fixture
def world(patient: Settings) -> Iterator[World]:
    with plant(own_topics(patient)) as world:
        yield world


def test_each_kind_of_end_is_proved_and_holes_of_control_records_are_fine(world: World) -> None:
    first, second = world.announce(3), world.announce(3)
    assert second[0] > first[-1] + 1  # the end mark of the first transaction takes an offset
    source, lanes = Place(world.input, 0), world.settings.topics.lanes
    results(world, first[:2])
    world.commit(source, [(first[2], world.dead(0, first[2])), (second[0], world.result(0, second[0]))])
    moved = world.commit(source, [(second[1], world.retry(0, second[1])), (second[2], world.retry(0, second[2]))])
    at = [offset for _, offset in moved[lanes[0]]]
    again = world.commit(Place(lanes[0], 0), [(at[0], world.result(0, second[1], 2))])
    assert again[world.settings.topics.results]
    moved = world.commit(Place(lanes[0], 0), [(at[1], world.retry(0, second[2], 2, lane=1))])
    world.commit(Place(lanes[1], 0), [(moved[lanes[1]][0][1], world.dead(0, second[2], 3))])
    report = prove(world)
    assert report.findings == ()
    assert report.unseen == ()
    assert report.proved
    assert (report.records, report.results, report.dead_letters, report.retried) == (6, 4, 2, 2)
    assert report.windows[0].holes == 2  # the end mark of the second as well
    assert report.ledger_rows == 3


def abort(world: World, partition: int, records: int) -> None:
    """Input records that nobody is to see, and the mark that says so."""
    world.producer.begin_transaction()
    for _ in range(records):
        world.producer.produce(world.input, b"aborted", partition=partition)
    world.producer.flush(ANSWER_S)
    world.producer.abort_transaction(ANSWER_S)


def test_what_was_aborted_behind_the_last_record_is_not_waited_for(world: World) -> None:
    """A group commits no further than its last record, and nothing in a partition without any."""
    results(world, world.announce(2))
    abort(world, 0, 150)
    abort(world, 1, 1)
    report = prove(world)
    assert report.proved
    assert (report.records, report.waiting, [one.holes for one in report.windows]) == (2, 0, [152, 2])
    assert prove(world, Selection(0, end=100)).proved
    world.announce(1)
    report = prove(world)
    assert (report.proved, report.waiting, report.windows[0].end) == (True, 2, 154)
    (waits,) = prove(world, Selection(0, end=155)).unseen
    assert (waits.first, waits.last, waits.why) == (154, 154, "not committed yet")


def test_a_missing_result_is_named(world: World) -> None:
    offsets = world.announce(4)
    right = [(offset, world.result(0, offset)) for offset in offsets]
    world.commit(Place(world.input, 0), right, written=[one for one in right if one[0] not in {1, 2}])
    assert faults(prove(world)) == [(Fault.MISSING, 1, 2)]


def test_a_double_result_is_named(world: World) -> None:
    results(world, world.announce(4))
    placed = world.commit(Place(world.input, 0), [], written=[(2, world.result(0, 2))], ledger=False)
    report = prove(world)
    assert faults(report) == [(Fault.DOUBLE, 2, 2)]
    topic = world.settings.topics.results
    (partition, offset), *_ = placed[topic]
    assert f" at {topic}/{partition}/{offset}" in report.findings[0].detail
    assert report.findings[0].detail.count(f" at {topic}/") == 2


def test_two_kinds_of_outcome_are_named(world: World) -> None:
    results(world, world.announce(4))
    extra = [(1, world.dead(0, 1)), (3, world.retry(0, 3))]
    world.commit(Place(world.input, 0), [], written=extra, ledger=False)
    assert faults(prove(world)) == [(Fault.DOUBLE, 1, 1), (Fault.DOUBLE, 3, 3)]


def test_a_wrong_digest_is_named(world: World) -> None:
    offsets = world.announce(4)
    right = [(offset, world.result(0, offset)) for offset in offsets]
    entry = build_entry(Transaction("0", 1, 4, now_ms()), Place(world.input, 0), [*right[:3], (3, world.dead(0, 3))])
    world.commit(Place(world.input, 0), right, entry=entry)
    report = prove(world)
    assert faults(report) == [(Fault.WRONG_DIGEST, 0, 3)]
    assert "3 results, 0 retries, 1 dead letter there" in report.findings[0].detail


def test_another_result_id_is_a_wrong_digest(world: World) -> None:
    right = [(offset, world.result(0, offset)) for offset in world.announce(2)]
    ident = "00000000-0000-5000-8000-000000000000"
    world.commit(Place(world.input, 0), right, written=[right[0], (1, world.result(0, 1, result_id=ident))])
    assert faults(prove(world)) == [(Fault.WRONG_DIGEST, 0, 1)]


def test_an_outcome_without_an_offset_is_named(world: World) -> None:
    offsets = world.announce(2)
    results(world, offsets)
    stray = [(2, world.result(0, 2)), (999, world.dead(0, 999)), (0, world.result(7, 0))]
    world.commit(Place(world.input, 0), [], written=stray, ledger=False)
    report = prove(world)
    # Offset 2 only marks an end.
    assert sorted(faults(report)) == [(Fault.NO_RECORD, 0, 0), (Fault.NO_RECORD, 2, 2), (Fault.NO_RECORD, 999, 999)]
    results(world, world.announce(2))
    assert (Fault.NO_RECORD, 2, 2) in faults(prove(world))


def test_a_retry_without_an_end_is_named_and_one_that_waits_is_only_not_proved(world: World) -> None:
    world.announce(2)
    lane = Place(world.settings.topics.lanes[0], 0)
    world.commit(Place(world.input, 0), [(offset, world.retry(0, offset)) for offset in (0, 1)])
    report = prove(world)
    assert (report.findings, [one.first for one in report.unseen]) == ((), [0, 1])
    assert not report.proved
    entry = build_entry(Transaction("0", 1, 1, now_ms()), lane, [(0, world.result(0, 0, 2))])
    world.commit(lane, [(0, world.result(0, 0, 2))], written=[], entry=entry)
    report = prove(world)
    assert faults(report) == [(Fault.NO_END, 0, 0)]
    assert [one.first for one in report.unseen] == [1]


def test_what_the_ledger_leaves_out_or_has_twice_is_named(world: World) -> None:
    offsets = world.announce(5)
    source = Place(world.input, 0)
    rows = [(offset, world.result(0, offset)) for offset in offsets]
    world.commit(source, rows[:2])
    world.commit(source, rows[2:3], ledger=False)
    world.commit(source, rows[3:])
    world.commit(source, rows[3:4], written=[])
    assert sorted(faults(prove(world))) == [(Fault.NOT_IN_LEDGER, 2, 2), (Fault.TWICE_IN_LEDGER, 3, 3)]


def test_a_record_of_another_program_is_named(world: World) -> None:
    results(world, world.announce(1))
    world.producer.begin_transaction()
    world.producer.produce(world.settings.topics.results, b"hello", b"k")
    world.producer.produce(world.settings.topics.dead_letters, b"hello", b"k")
    world.producer.commit_transaction(ANSWER_S)
    assert [fault for fault, _, _ in faults(prove(world))] == [Fault.UNREADABLE, Fault.UNREADABLE]


def test_what_is_not_committed_or_not_kept_is_not_proved(world: World) -> None:
    results(world, world.announce(6)[:4])
    assert prove(world).proved
    whole = prove(world, Selection(partition=0, first=0, end=6))
    assert [(one.first, one.last, one.why) for one in whole.unseen] == [(4, 5, "not committed yet")]
    assert (whole.proved, whole.findings) == (False, ())
    admin = AdminClient({"bootstrap.servers": world.settings.kafka.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(world.input, 0, 2)]).values():
        future.result(ANSWER_S)
    assert prove(world).proved
    early = prove(world, Selection(partition=0, first=1, end=4))
    assert [(one.first, one.last, one.why) for one in early.unseen] == [(1, 1, "retention has passed these offsets")]


def test_a_part_of_a_transaction_is_proved_by_the_whole_of_it(world: World) -> None:
    offsets = world.announce(6)
    right = [(offset, world.result(0, offset)) for offset in offsets]
    world.commit(Place(world.input, 0), right, written=[*right[:5], (5, world.dead(0, 5))])
    assert faults(prove(world, Selection(partition=0, first=1, end=3))) == [(Fault.WRONG_DIGEST, 0, 5)]


def test_workers_that_go_on_meanwhile_are_no_fault(world: World) -> None:
    source, lane = Place(world.input, 0), Place(world.settings.topics.lanes[0], 0)

    def work() -> None:
        for _ in range(40):
            one, two, three = world.announce(3)
            moved = world.commit(
                source, [(one, world.result(0, one)), (two, world.retry(0, two)), (three, world.dead(0, three))]
            )
            ((_, at),) = moved[lane.topic]
            world.commit(lane, [(at, world.result(0, two, 2))])

    working, reports = beside(work), []
    while not working.done():
        reports.append(prove(world))
    working.result(ANSWER_S)
    assert len(reports) > 2
    assert [finding for report in reports for finding in report.findings] == []
    assert any(report.records for report in reports)
    last = prove(world)
    assert (last.proved, last.records, last.retried) == (True, 120, 40)


def test_a_group_that_has_done_nothing_proves_nothing(world: World) -> None:
    world.announce(3)
    results(world, [0, 1, 2])
    assert prove(world).proved
    other = world.settings.model_copy(update={"kafka": world.settings.kafka.model_copy(update={"group": "typo"})})
    report = audit(other, Selection(), unheard)
    assert not report.proved
    assert {one.why for one in report.unseen} == {"not committed yet"}
    assert report.unseen[0].first == 0


@pytest.mark.parametrize(
    ("selection", "says"),
    [
        (Selection(0, 2, 1), "begins at offset 2 and ends at 1"),
        (Selection(0, 100, 200), "nothing is at 100 yet"),
        (Selection(0, 100), "nothing is at 100 yet"),
    ],
)
def test_a_window_of_nothing_is_refused(world: World, selection: Selection, says: str) -> None:
    world.announce(3)
    results(world, [0, 1, 2])
    with pytest.raises(UsageError, match=says):
        prove(world, selection)
