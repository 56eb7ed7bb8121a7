from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from streamproc.telemetry.tally import Count, Counts, Tallies, Tally

BOUNDS = (0.001, 0.5, 1, 10)


def samples(registry: CollectorRegistry) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


@given(st.lists(st.one_of(st.sampled_from(BOUNDS), st.floats(0, 100))))
def test_it_shows_what_the_librarys_own_histogram_shows(values: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tally = Tally(BOUNDS)
    ours.register(Tallies("x_seconds", "Why.", ("stage",), {("fetch",): tally}))
    known = Histogram("x_seconds", "Why.", ["stage"], registry=theirs, buckets=BOUNDS).labels("fetch")
    for value in values:
        tally.observe(value)
        known.observe(value)
    assert samples(ours) == samples(theirs)


@given(st.lists(st.floats(0, 100)))
def test_a_count_shows_what_the_librarys_own_counter_shows(amounts: list[float]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    count = Count()
    ours.register(Counts("x_total", "Why.", ("tier",), {("memory",): count}))
    known = Counter("x_total", "Why.", ["tier"], registry=theirs).labels("memory")
    for amount in amounts:
        count.inc(amount)
        known.inc(amount)
    count.inc()
    known.inc()
    assert samples(ours) == samples(theirs)
