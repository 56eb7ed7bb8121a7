"""The audit on a real broker: no ledger row, and no committed offset, is passed over without a word."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.operate.audit.finding import Fault
from streamproc.operate.audit.window import Selection
from streamproc.records.ledger import LedgerEntry, Transaction, build_entry
from streamproc.records.outcome import Outcome
from streamproc.records.record import TopicPartition as Place
from streamproc.settings import Settings
from tests.integration.audited import faults, prove, results
from tests.integration.planted import ANSWER_S, World, now_ms, own_topics, plant

WRONG = "00000000-0000-5000-8000-0000000000"


@pytest.fixture
def world(patient: Settings) -> Iterator[World]:
    with plant(own_topics(patient)) as world:
        yield world


def announced(world: World, count: int) -> list[tuple[int, Outcome]]:
    """Input records and their results."""
    return [(offset, world.result(0, offset)) for offset in world.announce(count)]


def entry_of(world: World, right: list[tuple[int, Outcome]]) -> LedgerEntry:
    return build_entry(Transaction("0", 1, len(right), now_ms()), Place(world.input, 0), right)


def wrong(world: World, offset: int) -> tuple[int, Outcome]:
    return offset, world.result(0, offset, result_id=f"{WRONG}{offset:02d}")


def lose(world: World, before: int) -> None:
    """Let retention take the input before an offset."""
    admin = AdminClient({"bootstrap.servers": world.settings.kafka.bootstrap_servers})
    for future in admin.delete_records([TopicPartition(world.input, 0, before)]).values():
        future.result(ANSWER_S)


def test_offsets_and_rows_beyond_the_end_of_the_input_are_named_and_are_no_records(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after brokers that lost the end of the input and of the outputs, and kept offsets and ledger."""
    results(world, world.announce(3))
    lost = [(offset, world.result(0, offset)) for offset in range(4, 1000)]
    world.commit(Place(world.input, 0), lost, written=[])
    report = prove(world)
    assert faults(report) == [(Fault.OUTSIDE, 4, 999), (Fault.OUTSIDE, 4, 999)]
    assert [finding.detail for finding in report.findings] == [
        "committed by the group, which has come to 1000; the partition ends at 4",
        "the ledger sums up 996 results, 0 retries, 0 dead letters of the offsets 4 to 999; the partition ends at 4",
    ]
    assert (report.records, report.windows[0].end) == (3, 4)
    assert prove(world, Selection(partition=1)).proved
    for name in ("bootstrap_servers", "group"):
        monkeypatch.setenv(f"STREAMPROC_KAFKA__{name.upper()}", getattr(world.settings.kafka, name))
    monkeypatch.setenv("STREAMPROC_REGISTRY__URL", str(world.settings.registry.url))
    for name in ("recordings", "results", "segments", "ledger"):
        monkeypatch.setenv(f"STREAMPROC_TOPICS__{name.upper()}", getattr(world.settings.topics, name))
    done = CliRunner().invoke(app, ["audit"])
    assert (done.exit_code, "not proved" in done.stdout, "outside" in done.stdout) == (1, True, True)


def test_an_offset_that_was_set_forward_beyond_the_end_is_named(world: World) -> None:
    results(world, world.announce(3))
    world.producer.begin_transaction()
    there = [TopicPartition(world.input, 0, 1000)]
    world.producer.send_offsets_to_transaction(there, world.consumer.consumer_group_metadata(), ANSWER_S)
    world.producer.commit_transaction(ANSWER_S)
    assert faults(prove(world)) == [(Fault.OUTSIDE, 4, 999)]


def test_a_row_that_reaches_beyond_the_end_is_named(world: World) -> None:
    right = announced(world, 3)
    entry = replace(entry_of(world, right), last_offset=500)
    world.commit(Place(world.input, 0), right, written=[*right[:2], wrong(world, 2)], entry=entry)
    assert faults(prove(world)) == [(Fault.OUTSIDE, 4, 500)]


def test_rows_of_offsets_or_partitions_that_the_input_does_not_have_are_named(world: World) -> None:
    right = announced(world, 3)
    world.commit(Place(world.input, 0), right)
    entry = entry_of(world, right)
    odd = [
        replace(entry, first_offset=100, last_offset=102),
        replace(entry, first_offset=-1, last_offset=-1),
        replace(entry, input_partition=9),
    ]
    for one in odd:
        world.commit(Place(world.input, 0), right, written=[], entry=one)
    report = prove(world)
    named = [(one.fault, one.partition.partition, one.first, one.last) for one in report.findings]
    assert sorted(named) == [
        (Fault.OUTSIDE, 0, -1, -1),
        (Fault.OUTSIDE, 0, 100, 102),
        (Fault.OUTSIDE, 9, 0, 2),
    ]
    assert not report.proved


def test_a_row_that_retention_has_cut_is_checked_by_the_outputs_that_are_kept(world: World) -> None:
    right = announced(world, 6)
    world.commit(Place(world.input, 0), [*right[:2], (2, world.dead(0, 2)), (3, world.retry(0, 3)), *right[4:]])
    world.commit(Place(world.settings.topics.lanes[0], 0), [(0, world.result(0, 3, 2))])
    for cut in (1, 3, 5):
        lose(world, cut)
        report = prove(world)
        assert (report.findings, report.unseen) == ((), ())
        assert (report.proved, report.unchecked_rows, report.records) == (True, 0, 6 - cut)


@pytest.mark.parametrize("spoilt", [0, 5])
def test_a_wrong_result_of_a_row_that_retention_has_cut_is_named(world: World, spoilt: int) -> None:
    right = announced(world, 6)
    written = [wrong(world, spoilt) if one[0] == spoilt else one for one in right]
    world.commit(Place(world.input, 0), right, written=written)
    lose(world, 1)
    assert faults(prove(world)) == [(Fault.WRONG_DIGEST, 0, 5)]


def test_a_lane_transaction_of_two_partitions_is_checked_for_one_as_well(world: World) -> None:
    lane = world.settings.topics.lanes[0]
    a, b = world.announce(5), world.announce(5, partition=1)
    moved = [
        at
        for partition, offsets in enumerate((a, b))
        for _, at in world.commit(
            Place(world.input, partition), [(offset, world.retry(partition, offset)) for offset in offsets]
        )[lane]
    ]
    zero = [(at, world.result(0, offset, 2)) for at, offset in zip(moved, a, strict=False)]
    one = [(at, world.result(1, offset, 2)) for at, offset in zip(moved[5:-2], b, strict=False)]
    rest = [(at, world.dead(1, offset, 2)) for at, offset in zip(moved[-2:], b[-2:], strict=True)]
    spoilt = [
        (at, world.result(0, offset, 2, result_id=f"{WRONG}{offset:02d}")) for at, offset in zip(moved, a, strict=False)
    ]
    for partition in (0, 1):
        report = prove(world, Selection(partition))
        assert (report.findings, len(report.unseen)) == ((), 5)
    world.commit(Place(lane, 0), [*zero, *one, *rest], written=[*spoilt, *one, *rest])
    assert faults(prove(world)) == [(Fault.WRONG_DIGEST, moved[0], moved[-1])]
    for partition in (0, 1):
        report = prove(world, Selection(partition))
        assert faults(report) == [(Fault.WRONG_DIGEST, moved[0], moved[-1])]
        assert (report.records, report.retried, report.unchecked_rows) == (5, 5, 0)


def test_a_right_lane_transaction_of_two_partitions_is_proved_for_one(world: World) -> None:
    lanes = world.settings.topics.lanes
    (a,), (b, c) = world.announce(1), world.announce(2, partition=1)
    ((_, first),) = world.commit(Place(world.input, 0), [(a, world.retry(0, a))])[lanes[0]]
    others = world.commit(Place(world.input, 1), [(b, world.retry(1, b)), (c, world.retry(1, c))])[lanes[0]]
    together = [
        (first, world.result(0, a, 2)),
        (others[0][1], world.retry(1, b, 2, lane=1)),
        (others[1][1], world.dead(1, c, 2)),
    ]
    world.commit(Place(lanes[0], 0), together)
    for partition in (0, None):
        report = prove(world, Selection(partition))
        assert (report.findings, report.unchecked_rows) == ((), 0)
        assert report.proved == (partition == 0)  # the retry of partition 1 waits


def test_the_counts_of_a_row_are_those_of_its_outputs(world: World) -> None:
    right = announced(world, 3)
    world.commit(Place(world.input, 0), right, entry=replace(entry_of(world, right), results=400, dead_letters=7))
    report = prove(world)
    assert faults(report) == [(Fault.WRONG_DIGEST, 0, 2)]
    assert report.findings[0].detail == (
        "the ledger sums up 400 results, 0 retries, 7 dead letters there; "
        "the outputs give 3 results, 0 retries, 0 dead letters"
    )


def test_a_window_in_a_row_of_which_another_record_is_lost_says_that_the_row_is_not_checked(world: World) -> None:
    right = announced(world, 6)
    world.commit(Place(world.input, 0), right, written=right[:5])
    report = prove(world, Selection(partition=0, first=1, end=3))
    assert (report.proved, report.unchecked_rows) == (True, 1)
    assert faults(prove(world)) == [(Fault.MISSING, 5, 5)]
