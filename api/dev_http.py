"""What the two halves of the development edge share: a request, an answer that streams, CORS."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, suppress
from typing import IO, Any

import httpx
import msgspec
from litestar.types import HTTPScope, Receive, Send

BODY_SECONDS = 60
"""A client that sends nothing for so long is gone; its upload must not hold the key for ever."""
PIECE_BYTES = 64 * 1024
ALLOWED_ORIGIN = re.compile(r"http://(localhost|127\.0\.0\.1)(:\d{1,5})?")
ALLOWED_METHODS = ("GET", "HEAD", "PUT")
ALLOWED_HEADERS = ("content-type", "if-none-match", "x-amz-checksum-sha256")
PREFLIGHT_SECONDS = 3600
NOT_PASSED_ON = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer"),
    *("transfer-encoding", "upgrade", "expect", "server", "date", "vary"),
}
"""Hop by hop (RFC 9110), or said by uvicorn and by us."""


class ClientGone(Exception):
    """The client closed the connection, or stopped sending, in the middle of its body."""


class Request:
    """One HTTP request; its body is read once, as a stream."""

    def __init__(self, scope: HTTPScope, receive: Receive) -> None:
        self.method: str = scope["method"]
        self.raw_path = scope["raw_path"].decode("ascii", "replace")
        self.query = scope["query_string"].decode("ascii", "replace")
        self.headers = httpx.Headers(list(scope["headers"]))
        self._receive = receive
        self._ended = False

    async def body(self) -> AsyncIterator[bytes]:
        """What is left of the body, as it comes in. Raises ClientGone."""
        while not self._ended:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    message: Any = await self._receive()
            except TimeoutError:
                raise ClientGone from None
            if message["type"] != "http.request":
                raise ClientGone
            self._ended = not message.get("more_body", False)
            if message.get("body"):
                yield message["body"]

    async def gone(self) -> None:
        """Return when the client is gone; what it still sends is thrown away."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def drain(self) -> None:
        """Read on to the end: a browser shows an answer only after it has sent everything."""
        async for _ in self.body():
            pass


class KeptBody:
    """The body of a request that may have to be sent again: what was read lies in a file."""

    def __init__(self, request: Request, file: IO[bytes]) -> None:
        self._request, self._file = request, file

    async def whole(self) -> AsyncIterator[bytes]:
        """From its first byte on, however often. Raises ClientGone."""
        self._file.seek(0)
        while piece := self._file.read(PIECE_BYTES):
            yield piece
        async for piece in self._request.body():
            self._file.write(piece)
            yield piece


class Answer(msgspec.Struct, frozen=True):
    """Status, headers and a body that is either whole or streamed from upstream."""

    status: int
    headers: Mapping[str, str]
    body: bytes | httpx.Response = b""


def plain(status: int, text: str, **headers: str) -> Answer:
    """A short refusal that nobody may keep."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {"content-type": "text/plain; charset=utf-8", "cache-control": "no-store"}
    return Answer(status, kept | named, f"{text}\n".encode())


def s3_error(status: int, code: str, message: str) -> Answer:
    """A refusal as S3 words it; the arguments are ours and need no escaping."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
    return Answer(status, {"content-type": "application/xml"}, body.encode())


async def fetch(
    upstream: httpx.AsyncClient, request: httpx.Request, stack: AsyncExitStack
) -> httpx.Response:
    """The response with its body still to come; closed with the stack."""
    response = await upstream.send(request, stream=True)
    stack.push_async_callback(response.aclose)
    return response


async def send_answer(answer: Answer, request: Request, send: Send) -> None:
    """Send status, headers (CORS included) and body, never holding more than a piece of it."""
    headers = dict(answer.headers) | cors(request.headers.get("origin"))
    if isinstance(answer.body, bytes):
        headers["content-length"] = headers.get("content-length", str(len(answer.body)))
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(name.lower().encode(), _encoded(headers[name])) for name in headers],
        }
    )
    if isinstance(answer.body, httpx.Response) and request.method != "HEAD":
        await _stream(answer.body, request, send)
    rest = answer.body if isinstance(answer.body, bytes) else b""
    await send({"type": "http.response.body", "body": rest, "more_body": False})


async def _stream(body: httpx.Response, request: Request, send: Send) -> None:
    """Pass the body on. A client that goes ends it: a live stream has no end of its own."""

    async def pass_on() -> None:
        async for piece in body.aiter_raw():
            await send({"type": "http.response.body", "body": piece, "more_body": True})

    passing = asyncio.create_task(pass_on())
    watching = asyncio.create_task(request.gone())
    try:
        await asyncio.wait({passing, watching}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watching.cancel()
        if not passing.done():
            passing.cancel()
    with suppress(asyncio.CancelledError):
        await passing


def _encoded(value: str) -> bytes:
    return value.encode("latin-1", "replace").replace(b"\r", b" ").replace(b"\n", b" ")


def passed_on(headers: httpx.Headers, *, without: Iterable[str] = ()) -> dict[str, str]:
    """The headers that belong to the message and not to this connection."""
    left_out = {*NOT_PASSED_ON, *without}
    return {
        name: value
        for name, value in headers.items()
        if name not in left_out and not name.startswith("access-control-")
    }


def cors(origin: str | None) -> dict[str, str]:
    """What the CORS rule of the buckets says to the page of this origin (docs/operations.md)."""
    if origin is None or ALLOWED_ORIGIN.fullmatch(origin) is None:
        return {"vary": "Origin"}
    return {
        "vary": "Origin",
        "access-control-allow-origin": origin,
        "access-control-expose-headers": "ETag",
    }


def preflight(request: Request) -> Answer:
    """204 when the rule allows origin, method and headers; else 403, as R2 answers."""
    origin = request.headers.get("origin", "")
    method = request.headers.get("access-control-request-method", "")
    asked = request.headers.get("access-control-request-headers", "").lower().split(",")
    unknown = {name.strip() for name in asked} - {*ALLOWED_HEADERS, ""}
    if ALLOWED_ORIGIN.fullmatch(origin) is None or method not in ALLOWED_METHODS or unknown:
        return plain(403, "The CORS rule does not allow this request.")
    return Answer(
        204,
        {
            "access-control-allow-methods": ", ".join(ALLOWED_METHODS),
            "access-control-allow-headers": ", ".join(ALLOWED_HEADERS),
            "access-control-max-age": str(PREFLIGHT_SECONDS),
        },
    )
