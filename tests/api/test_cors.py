"""Which pages may read answers (spec 6.8), and the headers that no answer leaves without."""

import itertools
from collections.abc import Iterator, Sequence

import httpx
import msgspec
import pytest
from litestar.handlers import HTTPRouteHandler

from adapters.runtime import Runtime
from adapters.settings import DEVELOPMENT_GATEWAY_KEY
from api import app, docs, files, internal_app, uploads
from api.public_routes import ROUTES as PUBLIC_ROUTES
from tests.kit.http import ApiClient, serving

OURS = ("https://app.logicspike.com", "https://logicspike.com", "http://localhost:3000")
FOREIGN = (
    "https://evil.example",
    "https://app.logicspike.com.evil.example",
    "https://evil-logicspike.com",
    "http://app.logicspike.com",
    "https://app.logicspike.com:8443",
    "http://localhost:3001",
    "null",
    "",
    "*",
)
MEDIA_ID = "media_xK9mQ2pLw3RtYb8c"
PUBLIC = [*PUBLIC_ROUTES, *docs.ROUTES]
SECURITY = {
    "referrer-policy": "no-referrer",
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-site",
    "cross-origin-opener-policy": "same-origin",
}


def requests_to(routes: Sequence[HTTPRouteHandler]) -> Iterator[tuple[str, str]]:
    """Every route once, and what is no route."""
    for handler in routes:
        for path in handler.paths:
            real = path.replace("{media_id:str}", MEDIA_ID).replace("{tenant_id:str}", "ls_nobody")
            if path == "/files/events":
                real += "?scope=nobody"  # a stream does not end; its refusal has the same headers
            for method in sorted(map(str, handler.http_methods)):
                yield method, real
    yield from (("GET", "/nothing/here"), ("PUT", "/files"), ("OPTIONS", "/files"))


@pytest.fixture
async def page(runtime: Runtime) -> httpx.AsyncClient:
    """The public app with its documentation."""
    documented = msgspec.structs.replace(runtime.settings, docs=True)
    return serving(app.create_app(msgspec.structs.replace(runtime, settings=documented)))


@pytest.mark.parametrize("origin", OURS)
async def test_our_pages_may_read_every_answer(page: httpx.AsyncClient, origin: str) -> None:
    nobody: dict[str, str] = {}
    somebody = {"x-gateway-key": DEVELOPMENT_GATEWAY_KEY, "x-user-id": "user_1"}
    owner = {"x-user-permissions": "system:owner", "x-tenant-id": "ls_cors"}
    for (method, path), key in itertools.product(requests_to(PUBLIC), (nobody, somebody)):
        answer = await page.request(method, path, headers={"origin": origin} | key | owner)
        assert answer.headers["access-control-allow-origin"] == origin, (method, path)
        assert answer.headers["vary"] == "Origin"
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {"Media-Position", "RateLimit-Remaining", "Retry-After"} <= set(exposed)
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize("origin", FOREIGN)
async def test_no_other_page_may(page: httpx.AsyncClient, origin: str) -> None:
    asked = {"access-control-request-method": "GET", "origin": origin}
    for method, path in requests_to(PUBLIC):
        for verb in (method, "OPTIONS"):
            answer = await page.request(verb, path, headers=asked)
            allowed = [name for name in answer.headers if name.startswith("access-control-")]
            assert not allowed, (verb, path)
            assert answer.headers["vary"] == "Origin"


async def test_a_preflight_is_answered_without_a_key(page: httpx.AsyncClient) -> None:
    for method, path in requests_to([*uploads.ROUTES, *files.ROUTES]):
        if path == "/nothing/here":
            continue
        answer = await page.options(
            path,
            headers={
                "origin": OURS[0],
                "access-control-request-method": method,
                "access-control-request-headers": "authorization, content-type,idempotency-key",
            },
        )
        assert answer.status_code == 204
        headers = answer.headers
        assert headers["access-control-allow-origin"] == OURS[0]
        assert headers["access-control-allow-methods"] == "GET, POST, PATCH, DELETE, OPTIONS"
        assert headers["access-control-max-age"] == "86400"
        asked = "authorization, content-type,idempotency-key"
        assert headers["access-control-allow-headers"] == asked
        assert headers["vary"] == "Origin"


@pytest.mark.parametrize("names", ["", "a b", "x\x01", "é", "a,,b", "n" * 1025])
async def test_what_are_no_header_names_is_not_repeated(
    page: httpx.AsyncClient, names: str
) -> None:
    asked = {"origin": OURS[0], "access-control-request-method": "GET"}
    headers = {**asked, "access-control-request-headers": names.encode()}
    answer = await page.options("/files", headers=headers)  # type: ignore[arg-type]
    assert answer.status_code == 204
    assert "access-control-allow-headers" not in answer.headers


async def test_the_internal_app_is_for_no_page(internal: httpx.AsyncClient) -> None:
    for method, path in requests_to(internal_app.ROUTES):
        headers = {"origin": OURS[0], "access-control-request-method": "POST"}
        answer = await internal.request(method, path, headers=headers)
        assert not [name for name in answer.headers if name.startswith("access-control-")]


async def test_every_answer_of_both_apps_carries_the_security_headers_once(
    page: httpx.AsyncClient, internal: httpx.AsyncClient, client: ApiClient
) -> None:
    for http, routes in ((page, PUBLIC), (internal, internal_app.ROUTES)):
        for method, path in requests_to(routes):
            for headers in ({}, {**client.headers, "x-user-permissions": "system:owner"}):
                answer = await http.request(method, path, headers=headers)
                wanted = SECURITY
                if path.startswith(("/cdn/", "/m/")):
                    # Any site may show what they lead to.
                    wanted = SECURITY | {"cross-origin-resource-policy": "cross-origin"}
                for name, value in wanted.items():
                    assert answer.headers.get_list(name) == [value], (method, path)
                assert answer.headers.get_list("cache-control") == ["no-store"]
                assert len(answer.headers.get_list("content-security-policy")) == 1
                assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_too_large_a_body_is_refused_with_the_same_headers(
    page: httpx.AsyncClient, client: ApiClient
) -> None:
    answer = await page.post(
        "/upload/presign",
        content=b" " * 200_000,
        headers={**client.headers, "content-type": "application/json", "origin": OURS[0]},
    )
    assert answer.status_code == 413
    assert answer.headers["access-control-allow-origin"] == OURS[0]
    assert {name: answer.headers[name] for name in SECURITY} == SECURITY
