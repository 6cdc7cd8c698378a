"""What every route has in common: its declaration, the request's own state, JSON answers."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from adapters.runtime import Runtime
from projections.variants import Variants

MediaRequest: TypeAlias = Request[Any, Any, Any]

OPEN = "open"
"""The `access` of a route that asks nobody who they are; others name a Permission."""

MORE_METHODS = {"/cdn/{key:path}": ("PURGE",)}
"""Of a path, beside those the framework knows."""

_encode = msgspec.json.Encoder().encode


def runtime_of(request: MediaRequest) -> Runtime:
    """What the process is made of."""
    runtime: Runtime = request.app.state["runtime"]
    return runtime


def variants_of(runtime: Runtime) -> Variants:
    """Which variants there are, and where they are asked for."""
    settings = runtime.settings
    return Variants(settings.presets, settings.delivery_url)


def note(request: MediaRequest, **fields: object) -> None:
    """Add fields to the log line of this request (spec 8.1)."""
    request.scope["state"]["line"].update(fields)


def add_headers(request: MediaRequest, headers: Mapping[str, str]) -> None:
    """Put headers on the answer, whatever it will be."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    request.scope["state"]["headers"].extend(raw)


class HasTypeAndSize(Protocol):
    """A file, as the write side or a read model knows it."""

    @property
    def mime_type(self) -> str:
        """As declared, and verified."""
        ...

    @property
    def file_size(self) -> int:
        """In bytes."""
        ...


def note_file(request: MediaRequest, file: HasTypeAndSize | None) -> None:
    """Add what the request's file is to its log line."""
    if file is not None:
        note(request, mimeType=file.mime_type, fileSize=file.file_size)


def answer(
    body: object,
    *,
    position: int | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> ASGIResponse:
    """The body as JSON, with the place in the log it was written at or read from."""
    return json_answer(_encode(body), position=position, status=status, headers=headers)


def json_answer(
    body: bytes,
    *,
    position: int | None = None,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> ASGIResponse:
    """The same for a body that is JSON already."""
    given = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in (headers or {}).items()
    ]
    if position is not None:
        given.append((b"media-position", str(position).encode()))
    return JsonAnswer(body, status, given)


class JsonAnswer(ASGIResponse):
    """Bytes and headers as they are: the framework's own writes its headers several times over."""

    def __init__(self, body: bytes, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.body = body
        self.status_code = status
        self._given = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send both."""
        headers = [
            *self._given,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(self.body)).encode()),
        ]
        await send({"type": "http.response.start", "status": self.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


def allowed_methods(request: MediaRequest) -> str:
    """The methods of the request's path, for `Allow`."""
    path = request.scope["path"].strip("/").split("/")
    for route in sorted(request.app.routes, key=lambda one: "{" in one.path):
        parts = route.path_format.strip("/").split("/")
        given = path
        if route.path.endswith(":path}"):
            given = [*path[: len(parts) - 1], "/".join(path[len(parts) - 1 :])]
        if len(parts) == len(given) and all(
            part.startswith("{") or part == one for part, one in zip(parts, given, strict=True)
        ):
            methods = {*getattr(route, "methods", ()), *MORE_METHODS.get(route.path, ())}
            return ", ".join(sorted(methods))
    return ""
