"""Traces by OpenTelemetry. Whoever does something worth a span takes `span`.

Off, and not even imported, unless `OTEL_EXPORTER_OTLP_ENDPOINT` is set. The log stores no trace:
the ids of a request's span are made from its request id, which every event carries, so that a
job, however much later, can name the request it goes back to.
"""

import hashlib
import inspect
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, cast

from adapters.settings import Settings, SettingsError

if TYPE_CHECKING:
    from adapters.otel import Tracing

Kind = Literal["internal", "server", "client", "consumer"]
Target = TypeVar("Target")


class Span(Protocol):
    """What is going on, for as long as its block runs."""

    def describe(self, name: str = "", /, **attributes: object) -> None:
        """Give it a better name, or add what has been learnt since."""
        ...


class _Nothing:
    def describe(self, name: str = "", /, **attributes: object) -> None:
        """Nobody listens."""


_NOTHING: AbstractContextManager[Span] = nullcontext(_Nothing())
_tracing: "Tracing | None" = None


@contextmanager
def tracing(settings: Settings, *, process: str) -> Iterator[None]:
    """Send spans to the collector while the block runs, if one is set."""
    global _tracing  # noqa: PLW0603 - one for the process, like the logger
    if not settings.otel_exporter_otlp_endpoint:
        yield
        return
    try:
        from adapters.otel import Tracing  # noqa: PLC0415 - not installed where nobody traces
    except ImportError as error:
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set, but OpenTelemetry is not installed: "
            "see requirements/tracing.txt."
        ) from error

    _tracing = opened = Tracing(settings, process=process)
    try:
        yield
    finally:
        _tracing = None
        opened.close()


def span(
    name: str, *, kind: Kind = "internal", **attributes: object
) -> AbstractContextManager[Span]:
    """A span inside whatever is going on."""
    return _NOTHING if _tracing is None else _tracing.inside(name, kind, attributes)


def request_span(
    request_id: str, headers: Callable[[], Mapping[bytes, bytes]], **attributes: object
) -> AbstractContextManager[Span]:
    """The span of a request, as a part of the caller's trace where its `traceparent` names one."""
    if _tracing is None:
        return _NOTHING
    return _tracing.request(request_id, headers().get(b"traceparent"), attributes)


def job_span(name: str, correlation_id: str, **attributes: object) -> AbstractContextManager[Span]:
    """The span of a job: a trace of its own, linked to the request behind it."""
    return _NOTHING if _tracing is None else _tracing.job(name, correlation_id, attributes)


def past_span(name: str, seconds: float, **attributes: object) -> None:
    """Tell of something that has just ended and took so long: a trace of its own."""
    if _tracing is not None:
        _tracing.past(name, time.time_ns() - int(seconds * 1e9), attributes)


def traced(target: Target) -> Target:
    """The object with a span around each of its coroutines; itself where nothing is traced."""
    return target if _tracing is None else cast("Target", _Traced(target))


class _Traced:
    def __init__(self, target: object) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not inspect.iscoroutinefunction(found):
            return found

        @wraps(found)
        async def inside(*args: Any, **kwargs: Any) -> Any:
            with span(f"{type(self._target).__name__}.{name}"):
                return await found(*args, **kwargs)

        setattr(self, name, inside)
        return inside


def ids_of(correlation_id: str) -> tuple[int, int]:
    """Trace id and span id of the request with this id."""
    digest = hashlib.sha256(correlation_id.encode()).digest()
    return int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:24], "big")
