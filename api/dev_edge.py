"""`python -m api.dev_edge`: stands where R2's edge and the CDN stand. Never in production.

Passes presigned requests on to the S3 server with their Host kept, so that the signature verifies,
and adds what the local server lacks: `If-None-Match: *` on a PUT, CORS, `response-*` overrides.
Everything else is a public file, `api/dev_cdn.py`, which is kept for a while (`api/dev_cache.py`).
"""

import asyncio
import hmac
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from tempfile import SpooledTemporaryFile
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import httpx
from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

from adapters.settings import Settings
from adapters.sigv4 import Presigner
from adapters.system import utc_now
from adapters.telemetry import get_logger
from api.dev_cache import API, KeptAnswers, PurgeApi
from api.dev_cdn import PublicFiles
from api.dev_http import (
    Answer,
    ClientGone,
    KeptBody,
    Request,
    fetch,
    passed_on,
    plain,
    preflight,
    s3_error,
    send_answer,
)
from api.dev_process import open_upstream, run

OVERRIDES = {
    "response-cache-control": "cache-control",
    "response-content-disposition": "content-disposition",
    "response-content-type": "content-type",
}
"""Signed query parameters that replace a header of the answer, as S3 and R2 do."""
URL_SECONDS = 60
PUT_ATTEMPTS, RETRY_SECONDS = 6, 0.02
IN_MEMORY_BYTES = 1024 * 1024
"""Of a body that may have to be sent again; more of it goes to a temporary file."""


class DevEdge:
    """The ASGI app."""

    def __init__(self, settings: Settings, upstream: httpx.AsyncClient) -> None:
        self._settings = settings
        self._upstream = upstream
        kept = KeptAnswers()
        self._public = PublicFiles(settings, upstream, kept)
        self._purges = PurgeApi(settings, kept)
        self._presigner = self._presigner_of(settings.s3_endpoint)
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    def _presigner_of(self, endpoint: str) -> Presigner:
        return Presigner(
            endpoint,
            region=self._settings.s3_region,
            access_key=self._settings.s3_access_key,
            secret_key=self._settings.s3_secret_key,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != ScopeType.HTTP:
            return
        request = Request(scope, receive)
        async with AsyncExitStack() as stack:
            try:
                answer = await self._answer(request, stack)
                await request.drain()
            except ClientGone:
                return
            except httpx.TransportError as error:
                get_logger().warning(
                    "media.edge.upstream_away",
                    error=f"{type(error).__name__}: {error}",
                    endpoint=self._settings.s3_endpoint,
                )
                answer = s3_error(503, "ServiceUnavailable", "The object store does not answer.")
            await send_answer(answer, request, send)

    async def _answer(self, request: Request, stack: AsyncExitStack) -> Answer:
        if request.method == "OPTIONS":
            return preflight(request)
        if request.raw_path.startswith(API) and request.method == "POST":
            return await self._purges.answer(request)
        query = parse_qs(request.query)
        if "X-Amz-Signature" not in query:
            return await self._public.answer(request, stack)
        if request.method not in {"GET", "HEAD", "PUT"}:
            return plain(405, "This is not passed on.", allow="GET, HEAD, PUT, OPTIONS")
        if request.method == "PUT" and request.headers.get("if-none-match") == "*":
            await stack.enter_async_context(self._alone(request.raw_path))
            if await self._exists(request, stack):
                return self._refuse_second(request)
        response = await self._stored_or_found(request, stack)
        headers = passed_on(response.headers)
        if request.method != "PUT" and response.is_success:
            headers |= {name: query[of][0] for of, name in OVERRIDES.items() if of in query}
        # rclone sends a part with 200, and its Content-Range.
        is_part = response.is_success and "content-range" in response.headers
        return Answer(206 if is_part else response.status_code, headers, response)

    async def _stored_or_found(self, request: Request, stack: AsyncExitStack) -> httpx.Response:
        """The S3 server's answer; a PUT that it fails, or forgets, is sent again.

        rclone removes a folder with the last object in it, and fails (500) when another object is
        just being written there: one upload in fifty, where each is discarded once it is verified.
        Or it stores the object and does not see it for minutes: one in a thousand.
        """
        if request.method != "PUT":
            return await fetch(self._upstream, self._passed_on(request, None), stack)
        with SpooledTemporaryFile(IN_MEMORY_BYTES) as file:
            body = KeptBody(request, file)
            for attempt in range(PUT_ATTEMPTS):
                await asyncio.sleep(attempt * RETRY_SECONDS)
                response = await fetch(self._upstream, self._passed_on(request, body), stack)
                if response.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
                    continue
                if not response.is_success or not await self._is_forgotten(request, stack):
                    break
        return response

    async def _is_forgotten(self, request: Request, stack: AsyncExitStack) -> bool:
        try:
            return not await self._exists(request, stack)
        except httpx.TransportError:
            return False

    def _passed_on(self, request: Request, body: KeptBody | None) -> httpx.Request:
        url = httpx.URL(self._settings.s3_endpoint).copy_with(
            raw_path=f"{request.raw_path}?{request.query}".encode("ascii", "replace")
        )
        content = body.whole() if body is not None else None
        headers = passed_on(request.headers)
        return httpx.Request(request.method, url, headers=headers, content=content)

    @asynccontextmanager
    async def _alone(self, path: str) -> AsyncIterator[None]:
        """One conditional PUT of a key at a time: of two, the second sees what the first stored."""
        lock, waiting = self._locks.get(path, (asyncio.Lock(), 0))
        self._locks[path] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._locks.pop(path)
            if waiting > 1:
                self._locks[path] = (lock, waiting - 1)

    async def _exists(self, request: Request, stack: AsyncExitStack) -> bool:
        url = self._presigner.sign(
            "HEAD", unquote(request.raw_path), at=utc_now(), lifetime=URL_SECONDS
        )
        found = await fetch(self._upstream, httpx.Request("HEAD", url), stack)
        if found.status_code in {httpx.codes.OK, httpx.codes.NOT_FOUND}:
            return found.status_code == httpx.codes.OK
        raise httpx.RemoteProtocolError(f"HEAD answers {found.status_code}")

    def _refuse_second(self, request: Request) -> Answer:
        """412 to whoever may write; nobody else learns that there is an object."""
        if not self._is_signed(request):
            return s3_error(403, "SignatureDoesNotMatch", "The signature is not right, or too old.")
        return s3_error(412, "PreconditionFailed", "There is an object under this key already.")

    def _is_signed(self, request: Request) -> bool:
        query = dict(parse_qsl(request.query, keep_blank_values=True))
        names = query.get("X-Amz-SignedHeaders", "").split(";")
        given = {name: request.headers.get(name, "") for name in names if name != "host"}
        signer = self._presigner_of(f"http://{request.headers.get('host', '')}")
        try:
            at = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            lifetime = int(query["X-Amz-Expires"])
            right = signer.sign(
                request.method,
                unquote(request.raw_path),
                headers=given,
                query={k: v for k, v in query.items() if not k.startswith("X-Amz-")},
                at=at,
                lifetime=lifetime,
            )
        except (KeyError, ValueError):
            return False
        expected = dict(parse_qsl(urlsplit(right).query))["X-Amz-Signature"].encode()
        signed = hmac.compare_digest(query["X-Amz-Signature"].encode(), expected)
        return signed and utc_now() < at + timedelta(seconds=lifetime)


@asynccontextmanager
async def open_edge(settings: Settings) -> AsyncIterator[DevEdge]:
    """The app with its connections to the S3 server."""
    async with open_upstream() as upstream:
        yield DevEdge(settings, upstream)


if __name__ == "__main__":
    sys.exit(run("edge", open_edge, port=lambda settings: settings.edge_port))
