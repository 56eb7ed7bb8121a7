import time
from collections.abc import Callable, Iterator

import pytest

from streamproc.doorstep import Doorstep
from streamproc.errors import DependencyDownError
from streamproc.glance import Glance
from streamproc.operate.endpoint import ask
from streamproc.operate.top.scrape import scrape


@pytest.fixture
def worker() -> Iterator[str]:
    doorstep = Doorstep(Glance(port=0))
    yield f"127.0.0.1:{doorstep.port}"
    doorstep.close()


@pytest.mark.parametrize(
    "look",
    [lambda worker: scrape(worker, time.monotonic), lambda worker: ask("POST", worker, "/brake/release")],
    ids=["top", "brake"],
)
def test_a_worker_that_has_just_begun_is_told_in_a_line_without_advice_for_web_developers(
    look: Callable[[str], object], worker: str
) -> None:
    with pytest.raises(DependencyDownError, match="HTTP 503: it has just begun, or another program listens") as told:
        look(worker)
    assert "\n" not in str(told.value)
    assert "developer" not in str(told.value)
