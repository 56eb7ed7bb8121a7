import json
from http import HTTPStatus

import httpx2
import pytest

from streamproc.errors import DependencyDownError
from streamproc.operate.report.prometheus import Edges, Prometheus
from streamproc.settings import PrometheusSettings

EDGES = Edges(0, 1000, 2)


def asked(status: HTTPStatus, answer: object) -> Prometheus:
    transport = httpx2.MockTransport(lambda _: httpx2.Response(status, content=json.dumps(answer).encode()))
    with httpx2.Client(transport=transport) as client:
        prometheus = Prometheus(client, PrometheusSettings(), "http://there")
        prometheus.look("up", EDGES)
        prometheus.look("up", EDGES)
    return prometheus


def test_a_warning_beside_an_answer_is_kept_once() -> None:
    answer = {"status": "success", "data": {"result": []}, "warnings": ["no store matched"]}
    assert list(asked(HTTPStatus.OK, answer).warnings) == ["no store matched"]


def test_one_that_has_too_much_to_do_is_prometheus() -> None:
    with pytest.raises(DependencyDownError, match="it answers 429"):
        asked(HTTPStatus.TOO_MANY_REQUESTS, "slow down")
