"""What surrounds every request: its id, one log line (spec 8.1), metrics, fixed headers.

The outermost layer of both apps, so that no answer leaves without it, errors included.
"""

import re
import time
from typing import Any

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from adapters.telemetry import get_logger
from adapters.tracing import request_span
from api.cors import Cors
from api.errors import STATUS, Crash, envelope
from api.metrics import Metrics
from application.ports import Identities

REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")

FIXED_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-opener-policy", b"same-origin"),
    # Not same-origin: the gateway and the dashboard are two hosts of one site.
    (b"cross-origin-resource-policy", b"same-site"),
    (b"referrer-policy", b"no-referrer"),
    # Browsers heed it over https only, so it does no harm in development.
    (b"strict-transport-security", b"max-age=31536000"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
"""On every answer that does not set its own."""
DELIVERY = ("/cdn/", "/m/")
CROSS_ORIGIN = (b"cross-origin-resource-policy", b"cross-origin")
"""Any site may show a public picture: refused, it must not look like one that is withheld."""

QUIET = frozenset({"media.health", "media.ready", "media.metrics"})
"""Asked every few seconds by machines: logged only when they fail."""
UNKNOWN_ROUTE = "media.unknown"


class RequestLog:
    """Wraps an app."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        identities: Identities,
        metrics: Metrics,
        cors: Cors | None = None,
    ) -> None:
        self._app = app
        self._identities = identities
        self.metrics = metrics
        self._cors = cors or Cors(())
        self._log = get_logger()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; other kinds of connection are not ours."""
        if scope["type"] != ScopeType.HTTP:
            return
        started = time.perf_counter()
        request_id = self._request_id(scope)
        line: dict[str, Any] = {"requestId": request_id}
        scope.setdefault("state", {})["line"] = line
        scope["state"]["headers"] = self._cors.headers(scope["method"], scope["headers"])
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = list(message["headers"])
                if status >= 400 and scope["path"].startswith(DELIVERY):  # noqa: PLR2004
                    headers.append(CROSS_ORIGIN)
                marked = _marked(headers, request_id, line)
                if (command_id := scope["state"].get("command_id")) is not None:
                    # Of the first command, where this one repeats it under its Idempotency-Key.
                    marked.append((b"media-command-id", command_id.encode()))
                    line["commandId"] = command_id
                message["headers"] = [*marked, *scope["state"]["headers"]]
            await send(message)

        with request_span(request_id, lambda: dict(scope["headers"])) as span:
            try:
                await self._app(scope, receive, send_marked)
            except Exception:
                self._log.exception("media.crash", requestId=request_id)
                if status:
                    raise
                await _send_crash(send_marked)
            finally:
                seconds = time.perf_counter() - started
                event = self._record(scope, line, status, seconds)
                span.describe(event, **line)

    def _request_id(self, scope: Scope) -> str:
        given = [value for name, value in scope["headers"] if name == b"x-request-id"]
        if len(given) == 1 and REQUEST_ID.fullmatch(given[0]):
            return given[0].decode("ascii")
        return f"req_{self._identities.nanoid()}"

    def _record(self, scope: Scope, line: dict[str, Any], status: int, seconds: float) -> str:
        event: str = UNKNOWN_ROUTE
        if "route_handler" in scope:
            event = scope["route_handler"].opt.get("event", "media.options")
        self.metrics.record(event, status, seconds)
        if event in QUIET and status < 400:  # noqa: PLR2004
            return event
        line["durationMs"] = round(seconds * 1000, 1)
        line["status"] = status
        self._log.info(event, **line)
        return event


def _marked(
    headers: list[tuple[bytes, bytes]], request_id: str, line: dict[str, Any]
) -> list[tuple[bytes, bytes]]:
    given = dict(headers)
    if (position := given.get(b"media-position")) is not None:
        line["position"] = position.decode("ascii")
    headers.extend(header for header in FIXED_HEADERS if header[0] not in given)
    headers.append((b"x-request-id", request_id.encode()))
    return headers


async def _send_crash(send: Send) -> None:
    body = msgspec.json.encode(envelope(Crash()))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": STATUS[Crash], "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
