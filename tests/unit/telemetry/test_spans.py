import gzip
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from streamproc.records.record import Record
from streamproc.settings import TraceSettings
from tests.programs import missing

try:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from streamproc.telemetry.spans import open_spans
except ImportError as error:
    missing(str(error))

CALLER = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = 0x0AF7651916CD43DD8448EB211C80319C


def record(*headers: tuple[str, bytes | None]) -> Record:
    return Record("audio.recordings", 0, 7, 1_000, None, b"", headers)


def made(share: float, *records: Record) -> tuple[list[ReadableSpan], list[dict[str, bytes]]]:
    """The spans of these records and of their micro-batch, and the headers of their outputs."""
    exporter = InMemorySpanExporter()
    spans = open_spans(TraceSettings(share=share), "0", exporter)
    begun = [spans.record("process", one, {"messaging.kafka.offset": one.offset}, 1_000) for one in records]
    headers = [dict(spans.headers(span)) for span in begun]
    for span in begun:
        spans.end(span, {"streamproc.outcome": "result"}, 2_000)
    spans.batch("micro-batch", begun, {}, 500, 3_000)
    spans.close()
    return list(exporter.get_finished_spans()), headers


def test_a_records_span_is_below_its_callers_and_its_outputs_go_on_in_the_trace() -> None:
    (one, batch), (headers,) = made(1, record(("traceparent", CALLER), ("tracestate", b"a=b")))
    assert one.parent is not None
    assert (one.context.trace_id, one.parent.span_id) == (TRACE, 0xB7AD6B7169203331)
    assert headers == {
        "traceparent": f"00-{TRACE:032x}-{one.context.span_id:016x}-01".encode(),
        "tracestate": b"a=b",
    }
    assert (one.start_time, one.end_time) == (1_000, 2_000)
    assert [link.context.span_id for link in batch.links] == [one.context.span_id]
    assert batch.context.trace_id != TRACE
    assert batch.parent is None


def test_a_callers_decision_not_to_trace_is_followed() -> None:
    spans, (headers,) = made(1, record(("traceparent", CALLER[:-2] + b"00")))
    assert [span.name for span in spans] == ["micro-batch"]
    assert headers["traceparent"].startswith(CALLER[:35])
    assert headers["traceparent"].endswith(b"-00")


def test_a_record_without_a_caller_is_traced_by_share() -> None:
    assert [span.name for span in made(1, record())[0]] == ["process", "micro-batch"]
    assert made(1e-12, record())[0] == []


@pytest.mark.parametrize("value", [b"", b"nonsense", b"\xff\xfe", None, b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01"])
def test_a_header_that_names_no_caller_is_no_harm(value: bytes | None) -> None:
    (one, _), _ = made(1, record(("traceparent", value)))
    assert one.parent is None


class Receiver(BaseHTTPRequestHandler):
    """Takes what an OTLP exporter sends."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        RECEIVED.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name is the standard library's
        pass


RECEIVED: list[tuple[str, ExportTraceServiceRequest]] = []


@pytest.fixture
def endpoint() -> Iterator[str]:
    RECEIVED.clear()
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/traces"
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_reach_a_collector(endpoint: str) -> None:
    spans = open_spans(TraceSettings(endpoint=endpoint, share=1), "3")
    one = spans.record("process", record(("traceparent", CALLER)), {}, 1_000)
    spans.end(one, {}, 2_000, "decode_failed")
    spans.close()
    ((path, request),) = RECEIVED
    (found,) = request.resource_spans
    (sent,) = found.scope_spans[0].spans
    assert path == "/v1/traces"
    assert (sent.name, sent.trace_id.hex(), sent.status.message) == ("process", f"{TRACE:032x}", "decode_failed")
    resource = {one.key: one.value.string_value for one in found.resource.attributes}
    assert (resource["service.name"], resource["service.instance.id"]) == ("streamproc-worker", "3")
