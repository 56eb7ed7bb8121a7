"""The worker on other engines than its own."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from streamproc.emotion import load_model
from streamproc.records.identity import fingerprint
from streamproc.settings import Settings
from tests.e2e.corpus import Corpus
from tests.e2e.flow import Flow
from tests.e2e.oracle import Oracle
from tests.e2e.reference import decode, reference_scores
from tests.e2e.test_exactly_once import LABELS, path_of
from tests.e2e.workers import PATIENCE_S, Worker


@pytest.mark.timeout(3 * PATIENCE_S)
def test_a_worker_on_funasr_gives_its_scores_under_a_fingerprint_of_their_own(
    own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker
) -> None:
    worker.set("STREAMPROC_MODEL__ENGINE", "funasr")
    flow = Flow(own, oracle, corpus, worker)
    worker.start()
    flow.send()
    flow.arrives()
    assert worker.stop() == 0, worker.tail()

    rows = oracle.seen().results
    names = [flow.sent[int(str(row["input_partition"])), int(str(row["input_offset"]))].clip for row in rows]
    expected = reference_scores({name: decode(path_of(name)) for name in names})
    for name, row in zip(names, rows, strict=True):
        scores = np.array([row[f"score_{label}"] for label in LABELS], float)
        assert np.abs(scores - expected[name]).max() <= 1e-4
    ours = fingerprint(load_model("demo").identity, "mix")
    assert {row["model"] for row in rows} == {"demo"}
    assert ours not in {row["fingerprint"] for row in rows}


@pytest.mark.timeout(3 * PATIENCE_S)
def test_a_worker_on_the_analyzer_of_the_page_writes_its_labels(
    own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker, tmp_path: Path
) -> None:
    page = (Path(__file__).parents[2] / "docs" / "analyzers.md").read_text("utf-8")
    (example, _) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (tmp_path / "energy.py").write_text(example, "utf-8")
    worker.set("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    worker.set("STREAMPROC_MODEL__ENGINE", "energy:make")
    flow = Flow(own, oracle, corpus, worker)
    worker.start()
    flow.send()
    flow.arrives()
    assert worker.stop() == 0, worker.tail()

    for row in oracle.seen().results:
        scores = json.loads(str(row["scores_json"]))
        assert {"loud", "quiet"} == scores.keys()
        assert row["label"] == max(scores, key=scores.__getitem__)
        assert {row[f"score_{label}"] for label in LABELS} == {None}
