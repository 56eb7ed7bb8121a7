"""A trace from a producer's header through a real worker to a collector, and on in the headers of its result."""

import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.corpus import Corpus, tone, wav
from tests.e2e.oracle import Oracle
from tests.e2e.workers import PATIENCE_S, Worker, until
from tests.programs import missing

try:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
except ImportError as error:
    missing(str(error))

ROOT = Path(__file__).parent.parent.parent
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(BaseHTTPRequestHandler):
    """Keeps the spans that it is sent."""

    spans: list[Any]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the standard library's
        pass


@pytest.fixture
def collector() -> Iterator[tuple[str, list[Any]]]:
    Collector.spans = []
    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces", Collector.spans
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_producers_trace_goes_through_the_worker(
    oracle: Oracle, corpus: Corpus, worker: Worker, collector: tuple[str, list[Any]]
) -> None:
    url, spans = collector
    worker.set("PYTHONPATH", f"{ROOT}:{os.environ.get('PYTHONPATH', '')}")
    worker.set("STREAMPROC_MODEL__ENGINE", "tests.e2e.deadly_engine:make")
    worker.set("STREAMPROC_TRACE__ENDPOINT", url)
    worker.set("STREAMPROC_TRACE__SHARE", "1")
    key = corpus.put("traced.wav", wav(tone(1)))
    oracle.produce(corpus.event(key), b"k", [("traceparent", f"00-{TRACE}-{CALLER}-01".encode())])
    oracle.produce(corpus.event("../up.wav"), b"k")
    worker.start()
    until(lambda: len(oracle.seen().dead) == len(oracle.seen().results) == 1, PATIENCE_S, worker.tail)
    assert worker.stop() == 0, worker.tail()

    (one,) = [span for span in spans if span.trace_id.hex() == TRACE]
    (other,) = [span for span in spans if span.name.startswith("process") and span is not one]
    batches = [span for span in spans if span.name == "micro-batch"]
    assert one.parent_span_id.hex() == CALLER
    assert other.status.message == "key_invalid"
    assert {link.span_id for batch in batches for link in batch.links} == {one.span_id, other.span_id}
    (result,) = oracle.read("results")
    headers = dict(result.headers())  # type: ignore[attr-defined]  # a Message
    assert headers["traceparent"] == f"00-{TRACE}-{one.span_id.hex()}-01".encode()
