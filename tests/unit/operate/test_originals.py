import json
from collections.abc import Iterator

import pytest

from streamproc.kafka.registry import connect
from streamproc.operate.originals import QUIET_S, Originals
from streamproc.records.avro import encode, frame, schema_of
from streamproc.records.recording import RecordingEvent
from streamproc.settings import RegistrySettings
from streamproc.testing.clock import ManualClock
from tests.unit.storage.lying import LyingServer, Peer, Request

TOPIC = "audio.recordings"
EVENT = RecordingEvent("e-1", 0, "recordings", "a/b.wav")
VALUE = frame(7, encode(EVENT))


def registered(peer: Peer, request: Request) -> bool:
    """The registry, which knows the schema under the topic's subject."""
    versions = [{"subject": f"{TOPIC}-value", "version": 1}]
    answer = versions if "/versions" in request.target else {"schema": schema_of(RecordingEvent).text}
    return peer.respond("200 OK", json.dumps(answer).encode(), Content_Type="application/json")


def away(peer: Peer, _request: Request) -> bool:
    return peer.respond("503 Service Unavailable", b"{}")


@pytest.fixture
def registry() -> Iterator[LyingServer]:
    server = LyingServer(answer=registered)
    yield server
    server.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def originals(registry: LyingServer, clock: ManualClock) -> Iterator[Originals]:
    with connect(RegistrySettings(url=registry.endpoint)) as client:
        yield Originals(client, TOPIC, clock.monotonic)


def test_an_event_is_read_by_the_schema_that_it_names(originals: Originals) -> None:
    assert originals.read(VALUE) == EVENT


@pytest.mark.parametrize("value", [None, b"", b"garbage", VALUE[:-3]])
def test_what_is_no_event_is_none_and_no_error(value: bytes | None, originals: Originals) -> None:
    assert originals.read(value) is None


def test_a_registry_that_is_away_is_not_asked_for_every_row(
    registry: LyingServer, originals: Originals, clock: ManualClock
) -> None:
    registry.answer = away
    assert originals.read(VALUE) is None
    asked = len(registry.requests)
    assert asked
    assert originals.read(VALUE) is None
    assert len(registry.requests) == asked
    registry.answer = registered
    clock.advance(QUIET_S)
    assert originals.read(VALUE) == EVENT
