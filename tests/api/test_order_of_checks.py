"""Who is let through, and which refusal comes first (api.md, conventions)."""

import httpx
import pytest

from api.public_routes import ROUTES
from api.routes import OPEN
from domain.access import Permission
from tests.kit.http import ApiClient, asked, refused

ASKED_OF_NOBODY = {"media.health", "media.ready", "media.delivery.key", "media.delivery.link"}


def test_every_public_route_says_who_may_use_it_and_what_it_logs() -> None:
    for handler in ROUTES:
        assert handler.opt["event"].startswith("media.")
        expected = {OPEN} if handler.opt["event"] in ASKED_OF_NOBODY else set(Permission)
        assert handler.opt["access"] in expected


async def test_an_unknown_route_is_404_before_anyone_is_asked_who_they_are(
    http: httpx.AsyncClient,
) -> None:
    refused(await http.get("/nothing/here"), 404, "NOT_FOUND")
    refused(await http.get("/metrics"), 404, "NOT_FOUND")
    refused(await http.post("/internal/resolve", json={"mediaIds": []}), 404, "NOT_FOUND")


async def test_a_wrong_method_is_405_and_names_the_right_ones(http: httpx.AsyncClient) -> None:
    answer = await http.put("/files")
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, OPTIONS"
    answer = await http.post("/files/media_xK9mQ2pLw3RtYb8c")
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "DELETE, GET, OPTIONS, PATCH"


async def test_options_needs_no_key(http: httpx.AsyncClient) -> None:
    answer = await http.options("/upload/presign")
    assert answer.status_code == 204
    assert answer.headers["allow"] == "OPTIONS, POST"
    answer = await http.options("/files/media_xK9mQ2pLw3RtYb8c")
    assert answer.headers["allow"] == "DELETE, GET, OPTIONS, PATCH"
    assert answer.content == b""


async def test_the_checks_run_in_the_order_of_the_contract(client: ApiClient) -> None:
    nobody = client.but(key="wrong", user="", permissions="", tenant="users")
    path = "/upload/presign"

    async def send(by: ApiClient) -> httpx.Response:
        return await by.send("POST", path, content=b"{", headers={"content-type": "text/plain"})

    refused(await send(nobody), 401, "UNAUTHORIZED")
    with_key = nobody.but(key=client.key)
    refused(await send(with_key), 401, "UNAUTHORIZED")
    with_user = with_key.but(user=client.user)
    refused(await send(with_user), 403, "FORBIDDEN")
    with_permission = with_user.but(permissions="media:files.write")
    refused(await send(with_permission), 400, "INVALID_FIELD", "x-tenant-id")
    with_tenant = with_permission.but(tenant=client.tenant)
    refused(await send(with_tenant), 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_no_gateway_key_is_refused(client: ApiClient) -> None:
    headers = {name: value for name, value in client.headers.items() if name != "x-gateway-key"}
    refused(await client.http.get("/files", headers=headers), 401, "UNAUTHORIZED")


async def test_a_gateway_key_outside_ascii_is_refused_and_no_crash(client: ApiClient) -> None:
    headers = [(b"x-gateway-key", "schlüssel".encode()), (b"x-user-id", b"user_1")]
    refused(await client.http.get("/files", headers=headers), 401, "UNAUTHORIZED")


async def test_two_gateway_keys_or_two_users_are_nobody(client: ApiClient) -> None:
    twice = [*client.headers.items(), ("x-gateway-key", client.key)]
    refused(await client.http.get("/files", headers=twice), 401, "UNAUTHORIZED")
    twice = [*client.headers.items(), ("x-user-id", "user_other")]
    refused(await client.http.get("/files", headers=twice), 401, "UNAUTHORIZED")
    twice = [*client.headers.items(), ("x-tenant-id", "ls_other")]
    refused(await client.http.get("/files", headers=twice), 400, "INVALID_FIELD", "x-tenant-id")


async def test_permissions_that_come_twice_are_refused_and_not_added_up(
    client: ApiClient,
) -> None:
    by = client.but(permissions="media:files.write")
    twice = [*by.headers.items(), ("x-user-permissions", "media:files.read")]
    answer = await client.http.get("/files", headers=twice)
    refused(answer, 400, "INVALID_FIELD", "x-user-permissions")


@pytest.mark.parametrize("tenant", ["users", "", "a/b", "a" * 65, "..", "ls abc", "lsé"])
async def test_a_tenant_id_that_could_leave_its_namespace_is_refused(
    client: ApiClient, tenant: str
) -> None:
    headers = {**client.headers, "x-tenant-id": tenant.encode("latin-1")}
    answer = await client.http.get("/files", headers=headers)  # type: ignore[arg-type]
    refused(answer, 400, "INVALID_FIELD", "x-tenant-id")


@pytest.mark.parametrize("user", ["../other", "", "a" * 65])
async def test_a_user_id_that_could_leave_its_namespace_is_nobody(
    client: ApiClient, user: str
) -> None:
    refused(await client.but(user=user).get("/files"), 401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    ("permissions", "may_read", "may_write"),
    [
        ("media:files.read", True, False),
        ("media:files.write", False, True),
        ("blog:posts.write,media:files.read, media:files.write", True, True),
        ("media:files.read media:files.write", True, True),
        ("system:owner", True, True),
        ("media:audit.read", False, False),
        ("media:files", False, False),
        ("MEDIA:FILES.READ", False, False),
        ("", False, False),
    ],
)
async def test_each_route_asks_for_its_permission(
    client: ApiClient, *, permissions: str, may_read: bool, may_write: bool
) -> None:
    by = client.but(permissions=permissions)
    listing = await by.get("/files")
    presigning = await by.send("POST", "/upload/presign", json=asked())
    assert listing.status_code == (200 if may_read else 403)
    assert presigning.status_code == (200 if may_write else 403)
    if not may_write:
        refused(presigning, 403, "FORBIDDEN")


async def test_the_request_id_is_echoed_or_made(client: ApiClient) -> None:
    given = await client.send("GET", "/files", headers={"x-request-id": "req-7.a"})
    assert given.headers["x-request-id"] == "req-7.a"
    for wrong in ("", "a b", "x" * 129):
        made = await client.send("GET", "/files", headers={"x-request-id": wrong})
        assert made.headers["x-request-id"].startswith("req_")
    twice = [*client.headers.items(), ("x-request-id", "req-7"), ("x-request-id", "req-8")]
    made = await client.http.get("/files", headers=twice)
    assert made.headers["x-request-id"].startswith("req_")


async def test_every_answer_forbids_caching_and_sniffing(client: ApiClient) -> None:
    for path in ("/files", "/files/stats", "/health", "/nothing"):
        answer = await client.get(path)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"
