"""The OpenTelemetry SDK behind adapters/tracing.py, loaded only where a collector is set."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from adapters.settings import Settings
from adapters.telemetry import Redactor, secrets_of
from adapters.tracing import Kind, ids_of

EXPORT_SECONDS = 5.0
"""How long a collector may take, also at the end of a process."""
_KINDS: Mapping[Kind, SpanKind] = {
    "internal": SpanKind.INTERNAL,
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "consumer": SpanKind.CONSUMER,
}
_ROOT = Context()
_chosen: ContextVar[tuple[int, int] | None] = ContextVar("chosen", default=None)


class _Ids(RandomIdGenerator):
    """Random ids, but for the span that stands for a request."""

    def generate_trace_id(self) -> int:
        """The next trace's id."""
        chosen = _chosen.get()
        return super().generate_trace_id() if chosen is None else chosen[0]

    def generate_span_id(self) -> int:
        """The next span's id."""
        chosen = _chosen.get()
        return super().generate_span_id() if chosen is None else chosen[1]


class _Span:
    def __init__(self, span: trace.Span, redactor: Redactor) -> None:
        self._span = span
        self._redactor = redactor

    def describe(self, name: str = "", /, **attributes: object) -> None:
        """Give it a better name, or add what has been learnt since."""
        if name:
            self._span.update_name(name)
        clean = self._redactor(None, "", {f"media.{key}": attributes[key] for key in attributes})
        for key, value in clean.items():
            if isinstance(value, bool | int | float | str):
                self._span.set_attribute(key, value)


class Tracing:
    """The spans of one process, sent to the collector in the background."""

    def __init__(self, settings: Settings, *, process: str) -> None:
        self._redactor = Redactor(secrets_of(settings))
        exporter = OTLPSpanExporter(
            endpoint=f"{settings.otel_exporter_otlp_endpoint.rstrip('/')}/v1/traces",
            headers=settings.otel_headers,
            timeout=EXPORT_SECONDS,
        )
        self._provider = TracerProvider(
            resource=Resource.create(
                {"service.name": settings.otel_service_name, "service.instance.name": process}
            ),
            sampler=ParentBased(TraceIdRatioBased(settings.otel_traces_sampler_arg)),
            id_generator=_Ids(),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("media")
        self._propagator = TraceContextTextMapPropagator()

    def close(self) -> None:
        """Send what is left, for at most EXPORT_SECONDS, and stop."""
        self._provider.shutdown()

    @contextmanager
    def inside(
        self,
        name: str,
        kind: Kind,
        attributes: Mapping[str, object],
        *,
        parent: Context | None = None,
        links: Sequence[Link] = (),
        ids: tuple[int, int] | None = None,
    ) -> Iterator[_Span]:
        """A span, of the current one unless `parent` is given."""
        token = _chosen.set(ids)
        try:
            started = self._tracer.start_span(
                name, context=parent, kind=_KINDS[kind], links=list(links)
            )
        finally:
            _chosen.reset(token)
        found = _Span(started, self._redactor)
        found.describe("", **attributes)
        attached = otel_context.attach(trace.set_span_in_context(started))
        try:
            yield found
        except BaseException as error:
            # No message and no stack: they may quote what a log line would not.
            started.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            otel_context.detach(attached)
            started.end()

    @contextmanager
    def request(
        self, request_id: str, traceparent: bytes | None, attributes: Mapping[str, object]
    ) -> Iterator[_Span]:
        """The span of a request, with the ids that its jobs will find it by."""
        given = {} if traceparent is None else {"traceparent": traceparent.decode("latin-1")}
        parent = self._propagator.extract(given, context=_ROOT)
        facts = {**attributes, "requestId": request_id}
        ids = ids_of(request_id)
        if not trace.get_current_span(parent).get_span_context().is_valid:
            with self.inside("request", "server", facts, parent=_ROOT, ids=ids) as span:
                yield span
            return
        with self.inside("request", "server", facts, parent=parent) as span:
            # In the caller's trace the ids are not ours to choose: jobs find this one instead.
            here = Link(trace.get_current_span().get_span_context())
            with self.inside(
                "request.anchor", "internal", facts, parent=_ROOT, ids=ids, links=[here]
            ):
                pass
            yield span

    @contextmanager
    def job(
        self, name: str, correlation_id: str, attributes: Mapping[str, object]
    ) -> Iterator[_Span]:
        """A trace of its own, linked to the request's span."""
        trace_id, span_id = ids_of(correlation_id)
        request = SpanContext(
            trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
        )
        facts = {**attributes, "requestId": correlation_id}
        with self.inside(name, "consumer", facts, parent=_ROOT, links=[Link(request)]) as span:
            yield span

    def past(self, name: str, began_at_ns: int, attributes: Mapping[str, object]) -> None:
        """A trace of one span that has ended."""
        started = self._tracer.start_span(name, context=_ROOT, start_time=began_at_ns)
        _Span(started, self._redactor).describe("", **attributes)
        started.end()
