"""`python -m api.dev_gateway`: stands where LogicSpike's gateway stands. Never in production.

Serves the built dashboard and passes `/api/media/*` on to the public app, vouching for the person
that is chosen in the dashboard's switch. Who is chosen is kept in cookies.
"""

import re
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import unquote

import httpx
import msgspec
from litestar.enums import ScopeType
from litestar.types import Receive, Scope, Send

from adapters.settings import Settings
from adapters.telemetry import get_logger
from api.dev_http import Answer, ClientGone, Request, fetch, passed_on, plain, send_answer
from api.dev_process import open_upstream, run
from api.errors import Envelope
from domain.access import SYSTEM_OWNER, Permission
from domain.owner import valid_tenant_id

BUILT = Path(__file__).resolve().parent.parent / "web" / "dist"
PROXIED = "/api/media"
SESSION = "/api/session"
HOME = "/dashboard/media"
PAGES = re.compile(r"/(dashboard|blog)(/.*)?")
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
OURS_TO_SAY = ("cookie", "x-gateway-key", "x-user-id", "x-tenant-id", "x-user-permissions")
MAX_CHOICE_BYTES = 1024


class Person(msgspec.Struct, frozen=True, rename="camel"):
    """Somebody to be, with what the gateway says of them."""

    name: str
    user_id: str
    workspace: str
    permissions: tuple[str, ...]


PEOPLE = {
    "owner": Person("Owner", "user_owner", "ls_abc123", (SYSTEM_OWNER,)),
    "editor": Person(
        "Editor", "user_789", "ls_abc123", (Permission.FILES_READ, Permission.FILES_WRITE)
    ),
    "reader": Person("Reader", "user_456", "ls_abc123", (Permission.FILES_READ,)),
    "guest": Person("Guest", "user_guest", "ls_abc123", ()),
    "neighbour": Person(
        "Neighbour", "user_321", "ls_other", (Permission.FILES_READ, Permission.FILES_WRITE)
    ),
}
"""The owner of a workspace, its members, and somebody of another workspace."""


class Choice(msgspec.Struct, frozen=True):
    """Whom to be from now on."""

    person: str
    workspace: str | None = None
    """Another workspace than the person's usual one."""


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """What the dashboard knows about who is using it; LogicSpike's app knows it in production."""

    person: str
    user_id: str
    workspace: str
    permissions: tuple[str, ...]
    people: dict[str, str]


class DevGateway:
    """The ASGI app."""

    def __init__(
        self, settings: Settings, upstream: httpx.AsyncClient, *, built: Path = BUILT
    ) -> None:
        self._upstream = upstream
        self._built = built.resolve()
        self._api = f"http://{settings.host}:{settings.port}"
        self._key = settings.gateway_keys[-1]
        self._policy = content_security_policy(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != ScopeType.HTTP:
            return
        request = Request(scope, receive)
        async with AsyncExitStack() as stack:
            try:
                answer = await self._answer(request, stack)
            except ClientGone:
                return
            except httpx.TransportError as error:
                get_logger().warning(
                    "media.gateway.unavailable", error=str(error) or type(error).__name__
                )
                answer = refused(502, "MEDIA_UNAVAILABLE", "Media Service does not answer.")
            await send_answer(answer, request, send)

    async def _answer(self, request: Request, stack: AsyncExitStack) -> Answer:
        path = unquote(request.raw_path)
        if path.startswith("/api/"):
            # Another site must not act with this one's cookies.
            if request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
                return refused(403, "FORBIDDEN", "Only the dashboard itself may ask.")
            if path == SESSION:
                return await self._session(request)
            if path.startswith(f"{PROXIED}/"):
                return await self._passed_on(request, stack)
            return refused(404, "NOT_FOUND", "There is no such route.")
        return self._page(request, path)

    async def _passed_on(self, request: Request, stack: AsyncExitStack) -> Answer:
        person, workspace = chosen(request.headers)
        own = passed_on(request.headers, without=OURS_TO_SAY)
        identity = {
            "x-gateway-key": self._key,
            "x-user-id": person.user_id,
            "x-tenant-id": workspace,
            "x-user-permissions": " ".join(person.permissions),
        }
        url = httpx.URL(self._api).copy_with(
            raw_path=f"{request.raw_path.removeprefix(PROXIED)}?{request.query}".rstrip("?").encode(
                "ascii", "replace"
            )
        )
        content = None if request.method in {"GET", "HEAD"} else request.body()
        response = await fetch(
            self._upstream,
            httpx.Request(request.method, url, headers=own | identity, content=content),
            stack,
        )
        return Answer(response.status_code, passed_on(response.headers), response)

    async def _session(self, request: Request) -> Answer:
        headers = {"content-type": "application/json", "cache-control": "no-store"}
        if request.method == "POST":
            choice = await read_choice(request)
            if choice is None:
                return refused(400, "INVALID_FIELD", "There is no such person or workspace.")
            headers["set-cookie"] = f"media_person={choice}; Path=/; SameSite=Strict; HttpOnly"
            return Answer(204, headers)
        person, workspace = chosen(request.headers)
        name = next(name for name, one in PEOPLE.items() if one == person)
        people = {key: one.name for key, one in PEOPLE.items()}
        session = Session(name, person.user_id, workspace, person.permissions, people)
        return Answer(200, headers, msgspec.json.encode(session))

    def _page(self, request: Request, path: str) -> Answer:
        if request.method not in {"GET", "HEAD"}:
            return plain(405, "Only GET and HEAD.", allow="GET, HEAD")
        if path == "/":
            return Answer(302, {"location": HOME, "cache-control": "no-store"})
        file = (self._built / path.lstrip("/")).resolve()
        found = file.is_relative_to(self._built) and file.suffix in TYPES and file.is_file()
        if not found:
            if PAGES.fullmatch(path) is None:
                return plain(404, "No such page.")
            file = self._built / "index.html"
            if not file.is_file():
                return plain(503, "The dashboard is not built. ./dev up builds it.")
        kept = "/assets/" in path and found
        headers = {
            "content-type": TYPES[file.suffix],
            "cache-control": "public, max-age=31536000, immutable" if kept else "no-store",
            "content-security-policy": self._policy,
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
        }
        return Answer(200, headers, b"" if request.method == "HEAD" else file.read_bytes())


def content_security_policy(settings: Settings) -> str:
    """The dashboard loads itself and files, by the CDN or signed for the bucket, and uploads."""
    uploads = settings.s3_upload_endpoint or settings.s3_endpoint
    own = f"http://{settings.host}:{settings.port} http://localhost:{settings.port}"
    files = f"{settings.public_base_url} {uploads} {settings.delivery_base_url or own}"
    return (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; font-src 'self'; "
        f"connect-src 'self' {uploads}; img-src 'self' blob: data: {files}; "
        f"media-src {files}; frame-src {files}; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def chosen(headers: httpx.Headers) -> tuple[Person, str]:
    """The person of the cookie and their workspace; the owner unless somebody was chosen."""
    cookie: SimpleCookie = SimpleCookie()
    with suppress(CookieError):
        cookie.load(headers.get("cookie", ""))
    text = cookie["media_person"].value if "media_person" in cookie else ""
    name, _, workspace = text.partition(".")
    person = PEOPLE.get(name, PEOPLE["owner"])
    return person, workspace if valid_tenant_id(workspace) else person.workspace


async def read_choice(request: Request) -> str | None:
    """The cookie's value for a choice; None when it names nobody."""
    body = b""
    async for piece in request.body():
        body += piece
        if len(body) > MAX_CHOICE_BYTES:
            return None
    try:
        choice = msgspec.json.decode(body, type=Choice)
    except msgspec.DecodeError:
        return None
    workspace = choice.workspace or ""
    if choice.person not in PEOPLE or (workspace and not valid_tenant_id(workspace)):
        return None
    return f"{choice.person}.{workspace}"


def refused(status: int, code: str, error: str) -> Answer:
    """The platform's envelope (spec 7)."""
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return Answer(status, headers, msgspec.json.encode(Envelope(error, code, status)))


@asynccontextmanager
async def open_gateway(settings: Settings, *, built: Path = BUILT) -> AsyncIterator[DevGateway]:
    """The app with its connections to the public app."""
    async with open_upstream() as upstream:
        yield DevGateway(settings, upstream, built=built)


if __name__ == "__main__":
    sys.exit(run("gateway", open_gateway, port=lambda settings: settings.web_port))
