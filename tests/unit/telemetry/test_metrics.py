import re

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from streamproc.errors import Reason, Stage
from streamproc.records.analysis import Tier
from streamproc.records.outcome import OutcomeKind
from streamproc.telemetry.families import PREFIX
from streamproc.telemetry.metrics import OUTCOMES, TIERS, Dependency, Metrics
from streamproc.telemetry.timesheet import PAIRS


def exposed(metrics: Metrics) -> str:
    return generate_latest(metrics.registry).decode()


def test_label_values_that_this_room_may_not_import_equal_those_of_the_records() -> None:
    assert set(OUTCOMES) == set(OutcomeKind)
    assert set(TIERS) == set(Tier)


def test_every_series_is_there_at_zero_from_the_start() -> None:
    text = exposed(Metrics())
    for reason in Reason:
        assert f'streamproc_dead_letters_total{{reason="{reason}"}} 0.0' in text
    for stage in Stage:
        assert f'streamproc_stage_seconds_count{{stage="{stage}"}} 0.0' in text
    for dependency in Dependency:
        assert f'streamproc_dependency_down{{dependency="{dependency}"}} 0.0' in text
    for hand, activity in PAIRS:
        assert f'streamproc_time_seconds_total{{activity="{activity}",thread="{hand}"}} 0.0' in text


def test_what_is_counted_is_exposed() -> None:
    metrics = Metrics()
    metrics.records[OutcomeKind.RESULT].inc(3)
    metrics.stage_seconds[Stage.FETCH].observe(0.5)
    metrics.in_flight_bytes.set(42)
    text = exposed(metrics)
    assert 'streamproc_records_total{outcome="result"} 3.0' in text
    assert 'streamproc_stage_seconds_sum{stage="fetch"} 0.5' in text
    assert "streamproc_in_flight_bytes 42.0" in text


def test_a_label_outside_the_closed_set_is_refused() -> None:
    with pytest.raises(KeyError):
        Metrics().records["vanished"].inc()


def test_two_workers_of_one_process_do_not_share_counts() -> None:
    first, second = Metrics(), Metrics()
    first.transaction_aborts.inc()
    assert "streamproc_transaction_aborts_total 0.0" in exposed(second)


def test_the_list_names_exactly_what_is_exposed() -> None:
    metrics = Metrics()
    families = re.findall(rf"^# TYPE ({PREFIX}\w+) \w+", exposed(metrics), flags=re.MULTILINE)
    assert set(families) == {d.name for d in metrics.definitions}


def test_every_line_of_the_list_says_why_and_names_its_unit_as_prometheus_asks() -> None:
    for definition in Metrics().definitions:
        assert definition.why.endswith(".")
        assert definition.name.endswith("_total") == (definition.kind == "counter")
        assert definition.unit in definition.name
        assert all(definition.labels.values())


def test_the_brokers_clock_has_no_series_before_it_was_compared() -> None:
    metrics = Metrics()
    assert not re.search(r"^streamproc_broker_clock_skew_seconds ", exposed(metrics), re.MULTILINE)
    metrics.clock_skew_seconds.set(-0.25)
    assert "\nstreamproc_broker_clock_skew_seconds -0.25\n" in exposed(metrics)


def test_a_reading_that_fails_is_said_once_and_hides_no_other() -> None:
    metrics = Metrics()

    def fail() -> None:
        raise OSError("gone")

    metrics.refresh.add(fail)
    metrics.refresh.add(lambda: metrics.partitions.set(3))
    with capture_logs() as lines:
        assert "streamproc_partitions 3.0" in exposed(metrics)
        exposed(metrics)
    assert [line["log_level"] for line in lines] == ["error"]
