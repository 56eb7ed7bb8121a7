"""Records that keep coming: mostly audio that was heard before, and some that was not."""

import hashlib
import threading
import uuid
from collections.abc import Mapping

import numpy as np

from tests.e2e.corpus import Corpus, wav
from tests.e2e.oracle import Oracle

FRESH_EVERY = 2
PAUSE_S = 0.05
RATE = 16_000


class Load:
    """Produces from a thread of its own whenever fewer than ``ahead`` records of a partition wait.

    Whatever a machine can do, its workers always have work. ``ends`` is kept up to date: by partition, the offset after
    the last record. ``committed`` is somebody else's to keep.
    """

    def __init__(
        self, oracle: Oracle, corpus: Corpus, ahead: int, ends: dict[int, int], committed: Mapping[int, int]
    ) -> None:
        self._oracle = oracle
        self._corpus = corpus
        self._ahead = ahead
        self._ends = ends
        self._committed = committed
        self._noise = np.random.default_rng(4)
        self._known = [(corpus.put(name, body), body) for name, _, body in corpus.clips()]
        self._stopping = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def start(self) -> None:
        """Begin to produce."""
        self._thread.start()

    def stop(self) -> None:
        """Produce no more. Raises what went wrong."""
        self._stopping.set()
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stopping.wait(PAUSE_S):
                for partition in self._ends:
                    while self._ends[partition] < self._committed[partition] + self._ahead:
                        self._send(partition)
        except Exception as error:  # noqa: BLE001  # not swallowed: ``stop`` raises it, where the test sees it
            self._error = error

    def _send(self, partition: int) -> None:
        number = sum(self._ends.values())
        key, body = self._fresh(number) if number % FRESH_EVERY == 0 else self._known[number % len(self._known)]
        declared = {"content_sha256": hashlib.sha256(body).hexdigest(), "size_bytes": len(body)}
        event = self._corpus.event(key, event_id=str(uuid.uuid4()), outputs=["scores", "segments"], **declared)
        placed = self._oracle.produce(event, b"call-%d" % number, partition=partition)
        assert placed == (partition, self._ends[partition])
        self._ends[partition] += 1

    def _fresh(self, number: int) -> tuple[str, bytes]:
        body = wav(self._noise.uniform(-0.3, 0.3, RATE // 2))
        return self._corpus.put(f"fresh/{number}.wav", body), body
