"""The events that dead letters began as, where they can still be read."""

from collections.abc import Callable

from streamproc.errors import DependencyDownError, PoisonError
from streamproc.kafka.event_codec import RegistryEventCodec
from streamproc.kafka.registry import Registry
from streamproc.records.recording import RecordingEvent

QUIET_S = 30.0
"""How long a registry that did not answer is not asked again: each dead letter would wait for it."""


class Originals:
    """Events by the schemas of the input topic. Used by one thread; ``clock`` gives seconds that only grow."""

    def __init__(self, client: Registry, topic: str, clock: Callable[[], float]) -> None:
        self._codec = RegistryEventCodec(client, topic, clock)
        self._clock = clock
        self._quiet_until = 0.0

    def read(self, value: bytes | None) -> RecordingEvent | None:
        """The event; None where it cannot be read, for which it may well be a dead letter."""
        if value is None or not (self._codec.known(value) or self._clock() >= self._quiet_until):
            return None
        try:
            self._codec.resolve(value)
            return self._codec.decode(value)
        except PoisonError:
            return None
        except DependencyDownError:
            self._quiet_until = self._clock() + QUIET_S
            return None
