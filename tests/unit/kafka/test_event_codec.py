"""The codec of events where no registry is needed to see what it does."""

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import cast

import pytest

from streamproc.errors import PoisonError, UnresolvedError
from streamproc.kafka.event_codec import RegistryEventCodec
from streamproc.kafka.registry import Registry, UnknownSchemaError
from streamproc.records.avro import frame


class EmptyRegistry:
    def get_schema(self, schema_id: int) -> None:
        raise UnknownSchemaError(str(schema_id))


@pytest.fixture
def _restless() -> Iterator[None]:
    """Threads that take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_restless")
def test_a_flood_of_invented_ids_is_forgotten_by_many_threads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.kafka.event_codec.MOST_REFUSED", 4)
    codec = RegistryEventCodec(cast("Registry", EmptyRegistry()), "t", lambda: 0.0)

    def flood(first: int) -> None:
        for schema_id in range(first, first + 30_000):
            codec.resolve(frame(schema_id, b""))

    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(flood, 30_000 * number) for number in range(4)]:
            done.result()
    assert len(codec._refused) == 4
    last = next(reversed(codec._refused))
    with pytest.raises(PoisonError, match="schema_unknown"):
        codec.decode(frame(last, b""))


def test_a_refusal_that_made_room_for_others_has_to_be_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.kafka.event_codec.MOST_REFUSED", 2)
    codec = RegistryEventCodec(cast("Registry", EmptyRegistry()), "t", lambda: 0.0)
    first = frame(1, b"")
    codec.resolve(first)
    assert codec.known(first)
    for schema_id in (2, 3):
        codec.resolve(frame(schema_id, b""))
    with pytest.raises(UnresolvedError):
        codec.decode(first)
