import pytest

from streamproc.settings import Settings
from tests.e2e.corpus import Corpus
from tests.e2e.flow import Flow
from tests.e2e.oracle import Oracle
from tests.e2e.workers import PATIENCE_S, Worker


@pytest.mark.timeout(3 * PATIENCE_S)
@pytest.mark.parametrize(
    ("name", "value"),
    [("STREAMPROC_KAFKA__DELIVERY", "at_least_once"), ("STREAMPROC_KAFKA__GROUP_PROTOCOL", "classic")],
)
def test_what_can_be_chosen_works(
    own: Settings, oracle: Oracle, corpus: Corpus, worker: Worker, name: str, value: str
) -> None:
    worker.set(name, value)
    flow = Flow(own, oracle, corpus, worker)
    worker.start()
    flow.send()
    flow.arrives()
    assert worker.stop() == 0, worker.tail()
