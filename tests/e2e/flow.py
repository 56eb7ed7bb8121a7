"""Good recordings through a worker that others trouble meanwhile."""

import time

from streamproc.settings import Settings
from tests.e2e.corpus import Corpus, Planned
from tests.e2e.oracle import Oracle
from tests.e2e.workers import PATIENCE_S, Worker, until

ROUND = 8


class Flow:
    """Sends good recordings and waits until every one sent so far has exactly one result."""

    def __init__(self, own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker) -> None:
        self._topic = own.topics.recordings
        self._group = own.kafka.group
        self._oracle = oracle
        self._worker = worker
        self._clips = iter(corpus.good(12 * ROUND, seed=1))
        self.sent: dict[tuple[int, int], Planned] = {}

    def position(self) -> int:
        return self._oracle.position(self._group)

    def send(self, count: int = ROUND) -> None:
        for _ in range(count):
            one = next(self._clips)
            self.sent[self._oracle.produce(one.value, f"call-{len(self.sent) % 5}".encode())] = one

    def arrives(self, seconds: float = PATIENCE_S) -> None:
        until(lambda: self.position() == len(self.sent), seconds, self._worker.tail, self._lives)
        # What went to a lane is committed there, and its result comes later.
        until(lambda: len(self._outcomes()) == len(self.sent), seconds, self._worker.tail, self._lives)
        assert self._outcomes() == {place: [("result", "ok")] for place in self.sent}

    def _outcomes(self) -> dict[tuple[int, int], list[tuple[str, str]]]:
        return self._oracle.seen().outcomes(self._topic)

    def stands_still(self, seconds: float = 3) -> None:
        before = self._oracle.position(self._group)
        time.sleep(seconds)
        assert self._oracle.position(self._group) == before < len(self.sent)
        self._lives()

    def _lives(self) -> None:
        assert self._worker.process.poll() is None, self._worker.tail()
