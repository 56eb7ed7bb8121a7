"""Events that ask for an embedding, through a real worker: what is stored, and what is computed for it."""

import io
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile
from minio import Minio
from numpy.typing import NDArray

from streamproc.settings import Settings
from tests.e2e.corpus import Corpus, wav
from tests.e2e.oracle import Oracle
from tests.e2e.reference import reference_embeddings
from tests.e2e.workers import PATIENCE_S, Worker, until
from tests.unit.audio.sounds import Wave, noise, talk

WITHIN = 1e-4


def spoken_file(seconds: float, silent_channels: int = 0) -> bytes:
    """Speech that no tier knows from another run, and channels in which nobody speaks."""
    words = talk([(seconds, 1)])
    words += noise(len(words) / 16_000, level=1e-4, seed=uuid.uuid4().int)[:, 0]
    silence = np.zeros((len(words), silent_channels))
    return wav(np.hstack([words[:, None].astype(np.float64), silence]))


def check_equal(found: Wave, wave: Wave) -> None:
    """Compare with FunASR, on the file alone."""
    expected = reference_embeddings({"it": wave})["it"]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= WITHIN
    assert np.abs(expected).max() > 100 * WITHIN, "zeros would pass, too"


class Case:
    """One worker; events go to it one after the other."""

    def __init__(self, own: Settings, worker: Worker, oracle: Oracle, corpus: Corpus) -> None:
        self._bucket = own.storage.bucket
        self._store = Minio(
            urlsplit(own.storage.endpoint).netloc,
            access_key=own.storage.access_key.get_secret_value(),
            secret_key=own.storage.secret_key.get_secret_value(),
            secure=False,
        )
        self._worker, self._oracle, self._corpus = worker, oracle, corpus

    def result(self, event_id: str, body: bytes, *outputs: str, **fields: object) -> Mapping[str, Any]:
        """What becomes of a recording."""
        key = self._corpus.put(f"{event_id}.wav", body)
        value = self._corpus.event(key, event_id=event_id, outputs=["scores", *outputs], **fields)
        self._oracle.produce(value, event_id.encode())
        until(lambda: event_id in self._rows(), PATIENCE_S, self._worker.tail, self._lives)
        return self._rows()[event_id]

    def embedding(self, row: Mapping[str, Any]) -> NDArray[np.float32]:
        """The object that a result points to."""
        uri = row["embedding_uri"]
        assert uri.startswith(f"s3://{self._bucket}/analyses/{row['content_sha256']}/{row['fingerprint']}/")
        answer = self._store.get_object(self._bucket, uri.removeprefix(f"s3://{self._bucket}/"))
        try:
            found: NDArray[np.float32] = np.load(io.BytesIO(answer.read()), allow_pickle=False)
        finally:
            answer.close()
            answer.release_conn()
        assert found.dtype == np.float32
        return found

    def _rows(self) -> Mapping[str, Mapping[str, Any]]:
        return {str(row["event_id"]): row for row in self._oracle.seen().results}

    def _lives(self) -> None:
        assert self._worker.process.poll() is None, self._worker.tail()


@pytest.mark.timeout(4 * PATIENCE_S)
def test_who_asks_gets_what_funasr_says_and_equal_bytes_are_computed_no_more_than_they_have_to_be(
    own: Settings, worker: Worker, oracle: Oracle, corpus: Corpus
) -> None:
    case = Case(own, worker, oracle, corpus)
    worker.start()
    body = spoken_file(3)
    first = case.result("asks", body, "embedding", "timeline")
    assert (first["tier"], first["status"]) == ("computed", "ok")
    (found,) = case.embedding(first)
    check_equal(found, soundfile.read(io.BytesIO(body), dtype="float32")[0])

    plain = case.result("does-not-ask", body)
    assert (plain["tier"], plain["embedding_uri"]) == ("memory", None)
    again = case.result("asks-again", body, "embedding")
    assert (again["tier"], again["embedding_uri"]) == ("memory", first["embedding_uri"])

    other = spoken_file(2)
    assert case.result("other-does-not-ask", other)["tier"] == "computed"
    assert case.result("other-asks", other, "embedding")["tier"] == "computed"
    assert worker.stop() == 0, worker.tail()

    worker.start()
    after = case.result("asks-a-new-worker", body, "embedding")
    assert (after["tier"], after["embedding_uri"]) == ("redis", first["embedding_uri"])
    assert case.result("asks-it-for-scores", body)["tier"] == "redis"
    assert case.embedding(after).tolist() == [found.tolist()]


@pytest.mark.timeout(4 * PATIENCE_S)
def test_each_channel_of_a_call_has_a_row_and_a_silent_one_nan(
    own: Settings, worker: Worker, oracle: Oracle, corpus: Corpus
) -> None:
    case = Case(own, worker, oracle, corpus)
    worker.start()
    call = spoken_file(4, silent_channels=1)
    row = case.result("call", call, "embedding", channels="split")
    speaker, silent = case.embedding(row)
    check_equal(speaker, soundfile.read(io.BytesIO(call), dtype="float32")[0][:, 0].copy())
    assert np.isnan(silent).all()
    assert silent.shape == speaker.shape
