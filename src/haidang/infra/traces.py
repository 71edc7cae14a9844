"""The collector of traces: OpenTelemetry, loaded only where an OTLP endpoint is configured."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace as otel_trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from haidang.infra.telemetry import Trace


class OtlpTracer:
    """Spans sent in batches from a thread of their own; a collector that is away loses them, nothing else."""

    def __init__(self, endpoint: str, part: str) -> None:
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "haidang", "service.instance.id": part})
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint.rstrip("/") + "/v1/traces", timeout=5))
        )
        self._tracer = self._provider.get_tracer("haidang")

    @contextmanager
    def span(self, name: str, parent: Trace | None, attributes: Mapping[str, Any]) -> Iterator[Trace]:
        """Open a span under the current one, or under `parent` when given; an exception marks it failed."""
        under = None if parent is None else _remote(parent)
        with self._tracer.start_as_current_span(
            name,
            context=under,
            attributes={key: _plain(value) for key, value in attributes.items()},
            record_exception=False,  # its text may hold what a person sent
            set_status_on_exception=False,
        ) as opened:
            place = opened.get_span_context()
            try:
                yield Trace(f"{place.trace_id:032x}", f"{place.span_id:016x}", place.trace_flags.sampled)
            except BaseException as failure:
                opened.set_status(otel_trace.StatusCode.ERROR, type(failure).__name__)
                raise

    def close(self) -> None:
        """Send what is still waiting, and stop."""
        self._provider.shutdown()


def open_tracer(endpoint: str, part: str) -> OtlpTracer:
    """Collect spans and send them to `<endpoint>/v1/traces`."""
    return OtlpTracer(endpoint, part)


def _remote(parent: Trace) -> otel_context.Context:
    place = otel_trace.SpanContext(
        trace_id=int(parent.trace_id, 16),
        span_id=int(parent.span_id, 16),
        is_remote=True,
        trace_flags=otel_trace.TraceFlags(int(parent.sampled)),
    )
    return otel_trace.set_span_in_context(otel_trace.NonRecordingSpan(place), otel_context.Context())


def _plain(value: Any) -> str | bool | int | float:
    return value if isinstance(value, (str, bool, int, float)) else str(value)
