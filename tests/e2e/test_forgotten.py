"""What `forget` cannot reach in a worker that runs, and that doing what it says does reach it."""

import uuid
from collections.abc import Mapping

import numpy as np
import pytest

from streamproc.operate.forget import Forgotten, Wanted, find_wanted, forget
from streamproc.settings import Settings
from tests.e2e.corpus import Corpus, wav
from tests.e2e.oracle import Oracle
from tests.e2e.workers import PATIENCE_S, Worker, until
from tests.unit.audio.sounds import talk


class Case:
    """A worker, and one recording of bytes that nobody has seen."""

    def __init__(self, own: Settings, worker: Worker, oracle: Oracle, corpus: Corpus) -> None:
        self._own, self._worker, self._oracle, self._corpus = own, worker, oracle, corpus
        note = b"note\x10\0\0\0" + uuid.uuid4().bytes  # behind the samples: it says nothing
        body = wav(talk([(2, 1)]).astype(np.float64)) + note
        self._key = corpus.put("forgotten.wav", body)
        self.wanted: Wanted = find_wanted(own, f"s3://{own.storage.bucket}/{self._key}", None)

    def announced(self, event_id: str) -> Mapping[str, object]:
        """The row of an event that asks for a timeline, too."""
        event = self._corpus.event(self._key, event_id=event_id, outputs=["scores", "timeline"])
        self._oracle.produce(event, event_id.encode())
        until(lambda: event_id in self._rows(), PATIENCE_S, self._worker.tail, self._lives)
        return self._rows()[event_id]

    def left(self) -> Forgotten:
        """What there is of it now."""
        return forget(self._own, self.wanted, dry_run=True)

    def _rows(self) -> Mapping[str, Mapping[str, object]]:
        return {str(row["event_id"]): row for row in self._oracle.seen().results}

    def _lives(self) -> None:
        assert self._worker.process.poll() is None, self._worker.tail()


@pytest.mark.timeout(4 * PATIENCE_S)
def test_a_worker_that_remembers_a_recording_writes_of_it_again_until_it_is_restarted(
    own: Settings, worker: Worker, oracle: Oracle, corpus: Corpus
) -> None:
    case = Case(own, worker, oracle, corpus)
    worker.start()
    assert case.announced("first")["tier"] == "computed"
    until(lambda: case.left().redis_keys == 1, PATIENCE_S, lambda: "it is not in Redis")  # which is written behind
    erased = forget(own, case.wanted, dry_run=False)
    assert "restart them all, then do this once more" in erased.unreached["workers"]
    assert (case.left().objects, case.left().redis_keys) == ((), 0)

    assert case.announced("remembered")["tier"] == "memory"
    assert case.left().objects == erased.objects != ()

    assert worker.stop() == 0, worker.tail()
    worker.start()
    forget(own, case.wanted, dry_run=False)
    assert case.announced("forgotten")["tier"] == "computed"
