"""A client of the HTTP apps as the gateway and a browser are, and the followers it reads from."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx
from litestar.types import ASGIApp

from adapters.settings import DEVELOPMENT_GATEWAY_KEY, Settings
from projections.waiting import WAIT_SECONDS
from tests.kit import written
from tests.kit.contract import check_documented
from tests.kit.library import PNG
from workers import projector

WRITER = "media:files.read media:files.write"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4"/></svg>'
JSON = dict[str, Any]
SECONDS = 60.0
"""Patience, not a measure: the machine may be busy with other tests."""


def serving(app: ASGIApp) -> httpx.AsyncClient:
    """A client of an app in this process."""
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://media.internal")


def state_of(app: ASGIApp) -> Any:
    """What the app keeps, below all that is wrapped around it."""
    innermost: Any = app
    while not hasattr(innermost, "state"):
        innermost = innermost._app
    return innermost.state


def new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(6)}"


class ApiClient:
    """Somebody in a workspace, with what the gateway would say of them."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        tenant: str | None,
        user: str = "user_789",
        permissions: str = WRITER,
        key: str = DEVELOPMENT_GATEWAY_KEY,
    ) -> None:
        self.http = http
        self.tenant = tenant
        self.user = user
        self.permissions = permissions
        self.key = key
        self.position = "0"
        """Of the last command: what a client that wants to see it sends back."""

    def but(self, **changes: Any) -> Self:
        """The same, another way."""
        given = {
            "tenant": self.tenant,
            "user": self.user,
            "permissions": self.permissions,
            "key": self.key,
        }
        other = type(self)(self.http, **(given | changes))
        other.position = self.position
        return other

    @property
    def headers(self) -> dict[str, str]:
        headers = {
            "x-gateway-key": self.key,
            "x-user-id": self.user,
            "x-user-permissions": self.permissions,
        }
        return headers if self.tenant is None else headers | {"x-tenant-id": self.tenant}

    async def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **rest: Any
    ) -> httpx.Response:
        """One request, as the gateway passes it on."""
        given = {**self.headers, **(headers or {})}
        written.remember(given.get("idempotency-key", ""))
        answer = await self.http.request(method, path, headers=given, **rest)
        check_documented(answer)
        if method != "GET" and "media-position" in answer.headers:
            self.position = str(max(int(self.position), int(answer.headers["media-position"])))
        return answer

    async def get(self, path: str, **parameters: Any) -> httpx.Response:
        """A query that sees all this client wrote."""
        return await self.query("GET", path, params=parameters)

    async def query(self, method: str, path: str, **rest: Any) -> httpx.Response:
        """Sees all this client wrote: asked again while a read model is further behind than that.

        A refusal names no position, but what is answered sooner than a query waits is not behind.
        """
        headers = {"media-position": self.position}
        clock = asyncio.get_running_loop().time
        deadline = clock() + SECONDS
        while True:
            began = clock()
            answer = await self.send(method, path, headers=headers, **rest)
            seen = int(answer.headers.get("media-position", "0"))
            if (
                seen >= int(headers["media-position"])
                or answer.is_server_error
                or clock() - began < WAIT_SECONDS
                or clock() > deadline
            ):
                return answer

    async def presign(self, *, headers: Mapping[str, str] | None = None, **changes: Any) -> JSON:
        answer = await self.send("POST", "/upload/presign", json=asked(**changes), headers=headers)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def put(self, presigned: JSON, body: bytes = PNG) -> httpx.Response:
        """What a browser does with a presigned upload."""
        async with httpx.AsyncClient(timeout=SECONDS) as browser:
            return await browser.put(
                presigned["uploadUrl"], content=body, headers=presigned["headers"]
            )

    async def complete(
        self, media_id: str, *, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        body = {"mediaId": media_id}
        return await self.send("PATCH", "/upload/complete", json=body, headers=headers)

    async def upload(self, *, body: bytes = PNG, **changes: Any) -> JSON:
        """Presign, PUT, complete: the file."""
        presigned = await self.presign(fileSize=len(body), **changes)
        stored = await self.put(presigned, body)
        assert stored.status_code == 200, stored.text
        async with asyncio.timeout(SECONDS):
            # 202: the verification takes longer than a request waits.
            while (completed := await self.complete(presigned["mediaId"])).status_code == 202:
                await asyncio.sleep(0.05)
        assert completed.status_code == 200, completed.text
        return dict(completed.json())

    async def delete(
        self, media_id: str, *, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        return await self.send("DELETE", f"/files/{media_id}", headers=headers)

    async def listed(self, **parameters: Any) -> list[JSON]:
        """The first page."""
        answer = await self.get("/files", **parameters)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def names(self, **parameters: Any) -> list[str]:
        return [file["fileName"] for file in await self.listed(**parameters)]


def asked(**changes: Any) -> JSON:
    """The body of a presign; None takes a field out."""
    body = {
        "fileName": "hero.png",
        "contentType": "image/png",
        "fileSize": len(PNG),
        "serviceCode": "blog",
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


def refused(answer: httpx.Response, status: int, code: str, field: str | None = None) -> JSON:
    """Check that the answer is the envelope of this refusal, and nothing beside it."""
    assert answer.status_code == status, answer.text
    body = dict(answer.json())
    assert set(body) - {"details"} == {"error", "code", "status"}
    assert (body["code"], body["status"]) == (code, status)
    assert isinstance(body["error"], str)
    assert body["error"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"]
    if field is not None:
        assert body["details"]["field"] == field
    return body


@asynccontextmanager
async def followed(settings: Settings) -> AsyncIterator[None]:
    """Every read model follows the log while the block runs: the projector, in this process."""
    stop = asyncio.Event()
    task = asyncio.create_task(projector.main(settings, stop))
    try:
        yield
    finally:
        stop.set()
        assert await task == 0
