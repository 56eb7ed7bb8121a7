"""Spans by OpenTelemetry (``streamproc[otel]``), sent by OTLP over HTTP. Imported only where traces are on."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace import Span as AnySpan
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from streamproc import __version__
from streamproc.settings import TraceSettings

EXPORT_S = 2
"""For one request to the collector: a worker that ends must not wait for one that is away."""
_W3C = TraceContextTextMapPropagator()
Values = Mapping[str, str | int]


class Carrier(Protocol):
    """What has headers that name a caller."""

    def header(self, name: str) -> bytes | None:
        """The last value of a header."""
        ...


class Spans:
    """Makes spans whose beginning is known when they are made (ns since the epoch)."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("streamproc", __version__)

    def record(self, name: str, carrier: Carrier, values: Values, began_ns: int) -> AnySpan:
        """A span below the one that the headers name, or one of its own."""
        found = {field: value.decode("ascii", "replace") for field in _W3C.fields if (value := carrier.header(field))}
        caller = _W3C.extract(found)
        return self._tracer.start_span(name, caller, SpanKind.CONSUMER, dict(values), start_time=began_ns)

    def headers(self, span: AnySpan) -> Sequence[tuple[str, bytes]]:
        """What tells whoever reads an output which span it comes from (W3C)."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, set_span_in_context(span))
        return tuple((name, value.encode()) for name, value in carrier.items())

    def end(self, span: AnySpan, values: Values, ended_ns: int, problem: str = "") -> None:
        """End a span; with a problem it has failed."""
        span.set_attributes(dict(values))
        if problem:
            span.set_status(Status(StatusCode.ERROR, problem))
        span.end(ended_ns)

    def batch(self, name: str, linked: Iterable[AnySpan], values: Values, began_ns: int, ended_ns: int) -> None:
        """A span in a trace of its own that links to others."""
        links = [Link(span.get_span_context()) for span in linked]
        span = self._tracer.start_span(name, Context(), SpanKind.INTERNAL, dict(values), links, start_time=began_ns)
        span.end(ended_ns)

    def close(self) -> None:
        """Send what is left, and end."""
        self._provider.shutdown()


def open_spans(settings: TraceSettings, slot: str, exporter: SpanExporter | None = None) -> Spans:
    """Spans that are sent to ``trace.endpoint``, or to an exporter of the caller."""
    sampler = ParentBased(TraceIdRatioBased(settings.share))
    resource = Resource.create(
        {"service.name": "streamproc-worker", "service.version": __version__, "service.instance.id": slot}
    )
    provider = TracerProvider(sampler=sampler, resource=resource, shutdown_on_exit=False)
    sent = exporter or OTLPSpanExporter(endpoint=settings.endpoint, timeout=EXPORT_S)
    provider.add_span_processor(BatchSpanProcessor(sent))
    return Spans(provider)
