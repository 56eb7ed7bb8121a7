"""Traces through the whole pipeline, with spans that only remember."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from streamproc.records.record import Record
from streamproc.records.topics import MAX_INPUT_BYTES
from streamproc.testing.codec import encode_event
from streamproc.testing.decoders import recording
from streamproc.testing.device import IDENTITY
from streamproc.testing.harness import WorkerHarness
from streamproc.worker.pipeline import Pipeline


@dataclass
class Span:
    name: str
    caller: bytes | None
    values: dict[str, str | int]
    began_ns: int
    ended_ns: int = 0
    problem: str = ""


@dataclass
class Remembered:
    """Satisfies ``worker.ports.Spans``."""

    spans: list[Span] = field(default_factory=list)
    batches: list[tuple[list[Span], int, int]] = field(default_factory=list)
    header: bytes = b"ours"

    def record(self, name: str, carrier: Record, values: Mapping[str, str | int], began_ns: int) -> Span:
        self.spans.append(Span(name, carrier.header("traceparent"), dict(values), began_ns))
        return self.spans[-1]

    def headers(self, span: Span) -> Sequence[tuple[str, bytes]]:
        return (("traceparent", self.header + b"-" + (span.caller or b"none")),)

    def end(self, span: Span, values: Mapping[str, str | int], ended_ns: int, problem: str) -> None:
        span.values |= values
        span.ended_ns, span.problem = ended_ns, problem

    def batch(
        self, _name: str, linked: Iterable[Span], _values: Mapping[str, str | int], began_ns: int, ended_ns: int
    ) -> None:
        self.batches.append((list(linked), began_ns, ended_ns))


@dataclass
class World:
    worker: WorkerHarness
    remembered: Remembered

    def handle(self, *keys: str) -> None:
        records = []
        for key in keys:
            if key != "gone":
                self.worker.store.put("recordings", key, recording(1000, name=key), "audio/wav")
            event = encode_event(object_key=key, event_id=key, fields={"outputs": ["scores", "segments"]})
            headers = (("traceparent", key.encode()),)
            records.append(self.worker.record(event, headers=headers, age_s=1000 if key == "gone" else 0))
        self.worker.poll(*records)
        self.worker.clock.advance(2)
        self.worker.settle()


@pytest.fixture
def world() -> World:
    worker, remembered = WorkerHarness(), Remembered()
    traced = replace(worker.world, spans=remembered)
    worker.pipeline = Pipeline(worker.settings, traced, IDENTITY, "0", worker.ownership, worker.metrics)
    worker.assign(0)
    return World(worker, remembered)


def test_each_record_has_a_span_and_the_micro_batch_links_to_them(world: World) -> None:
    world.handle("a", "gone")
    good, bad = world.remembered.spans
    assert (good.name, good.caller, good.values["streamproc.outcome"]) == ("process audio.recordings", b"a", "result")
    assert (bad.caller, bad.values["streamproc.outcome"], bad.problem) == (b"gone", "dead_letter", "object_missing")
    assert bad.values["messaging.kafka.offset"] == 1
    assert good.ended_ns - good.began_ns == 2_000_000_000
    ((linked, began_ns, ended_ns),) = world.remembered.batches
    assert linked == [good, bad]
    assert (began_ns, ended_ns) == (good.began_ns, good.ended_ns)


def test_results_and_segments_carry_the_trace_on_and_dead_letters_keep_what_they_had(world: World) -> None:
    world.handle("a", "gone")
    topics = world.worker.settings.topics
    for topic in (topics.results, topics.segments):
        (output,) = world.worker.sink.values(topic)
        assert output.headers == (("traceparent", b"ours-a"),)
    (letter,) = world.worker.sink.values(topics.dead_letters)
    assert [value for name, value in letter.headers if name == "traceparent"] == [b"gone"]


def test_what_would_be_too_large_with_a_header_goes_without(world: World) -> None:
    world.remembered.header = b"x" * MAX_INPUT_BYTES
    world.handle("a")
    (output,) = world.worker.sink.values(world.worker.settings.topics.results)
    assert output.headers == ()


def test_nothing_is_held_of_what_was_committed(world: World) -> None:
    world.handle("a", "b")
    world.handle("c")
    traced = world.worker.pipeline._commit.traced
    assert traced is not None
    assert traced._open == {}
    assert len(world.remembered.batches) == 2
