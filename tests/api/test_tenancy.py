"""Two workspaces on every route: what one has, the other neither sees nor changes."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from adapters.runtime import open_api_runtime
from adapters.settings import Settings
from api import app
from api.public_routes import ROUTES
from api.routes import OPEN
from tests.kit.http import ApiClient, asked, refused, serving


@pytest.fixture
async def narrowed(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The public app with `MEDIA_OWNER_BYPASS=tenant`."""
    narrow = msgspec.structs.replace(settings, owner_bypass="tenant")
    async with open_api_runtime(narrow) as runtime, serving(app.create_app(runtime)) as client:
        yield client


async def test_another_workspace_reads_nothing_of_a_file(
    client: ApiClient, stranger: ApiClient
) -> None:
    file = await client.upload()
    stranger.position = client.position
    path = f"/files/{file['id']}"
    for read in (path, f"{path}/download", f"{path}/history", f"/upload/{file['id']}"):
        assert (await client.get(read)).status_code in {200, 302}
        refused(await stranger.get(read), 404, "MEDIA_NOT_FOUND")
    for query in ({}, {"search": "hero"}, {"service": "blog"}, {"type": "image"}, {"search": "h"}):
        assert await stranger.listed(**query) == []
    stats = (await stranger.get("/files/stats")).json()
    assert (stats["totalFiles"], stats["pendingUploads"], stats["recent"]) == (0, 0, [])


async def test_another_workspace_changes_nothing_of_a_file(
    client: ApiClient, stranger: ApiClient
) -> None:
    file, pending = await client.upload(), await client.presign()
    await client.put(pending)
    refused(await stranger.complete(pending["mediaId"]), 403, "OWNERSHIP_DENIED")
    refused(await stranger.delete(pending["mediaId"]), 403, "OWNERSHIP_DENIED")
    refused(await stranger.delete(file["id"]), 403, "OWNERSHIP_DENIED")
    answer = await stranger.send("POST", "/files/bulk-delete", json={"ids": [file["id"]]})
    assert [failed["code"] for failed in answer.json()["failed"]] == ["OWNERSHIP_DENIED"]
    assert await client.listed() == [file]
    assert (await client.complete(pending["mediaId"])).status_code == 200


ALL_RIGHTS = "media:files.read media:files.write media:audit.read media:webhooks.write"
BODIES = {
    "media.files.change": {"isPublic": False},
    "media.files.signed_url": {"expiresIn": 900},
    "media.webhooks.edit": {"status": "paused"},
    "media.webhooks.replay": {"position": "0"},
}


def naming(what: str) -> list[Any]:
    """Every route that names one of these, but those open to anybody."""
    return [
        pytest.param(method, path, BODIES.get(route.opt["event"]), id=f"{method} {path}")
        for route in ROUTES
        for path in route.paths
        for method in route.http_methods
        if f"{{{what}:" in path and route.opt["access"] != OPEN
    ]


@pytest.mark.parametrize(("method", "path", "body"), naming("media_id"))
async def test_no_route_lets_another_workspace_near_a_file(
    client: ApiClient, stranger: ApiClient, method: str, path: str, body: dict[str, Any] | None
) -> None:
    file = await client.upload()
    other = stranger.but(permissions=ALL_RIGHTS)
    answer = await other.send(method, path.replace("{media_id:str}", file["id"]), json=body)
    assert answer.status_code in {403, 404}, answer.text
    assert file["fileName"] not in answer.text
    assert await client.listed() == [file]


@pytest.mark.parametrize(("method", "path", "body"), naming("webhook_id"))
async def test_no_route_lets_another_workspace_near_a_webhook(
    client: ApiClient, stranger: ApiClient, method: str, path: str, body: dict[str, Any] | None
) -> None:
    owner, other = (one.but(permissions=ALL_RIGHTS) for one in (client, stranger))
    asked = {"url": "https://hooks.example.com/secret-path", "eventTypes": ["media.uploaded"]}
    webhook = (await owner.send("POST", "/webhooks", json=asked)).json()
    named = path.replace("{webhook_id:str}", webhook["id"]).replace("{position:str}", "1")
    refused(await other.send(method, named, json=body), 404, "WEBHOOK_NOT_FOUND")
    assert (await other.get("/webhooks")).json()["items"] == []
    kept = (await owner.get(f"/webhooks/{webhook['id']}")).json()
    assert (kept["url"], kept["status"]) == (asked["url"], "active")


async def test_a_file_that_does_not_exist_is_404_to_everyone(client: ApiClient) -> None:
    nowhere = "media_xK9mQ2pLw3RtYb8c"
    refused(await client.delete(nowhere), 404, "MEDIA_NOT_FOUND")
    refused(await client.complete(nowhere), 404, "MEDIA_NOT_FOUND")


async def test_a_colleague_completes_and_deletes_what_another_began(client: ApiClient) -> None:
    pending = await client.presign()
    await client.put(pending)
    colleague = client.but(user="user_colleague")
    assert (await colleague.complete(pending["mediaId"])).status_code == 200
    assert (await colleague.delete(pending["mediaId"])).status_code == 200


async def test_the_uploader_may_delete_from_another_workspace(client: ApiClient) -> None:
    file = await client.upload()
    assert (await client.but(tenant="ls_elsewhere").delete(file["id"])).status_code == 200
    personal = await client.upload()
    assert (await client.but(tenant=None).delete(personal["id"])).status_code == 200


async def test_a_personal_file_is_nobody_else_s(client: ApiClient) -> None:
    personal = await client.upload(scope="user")
    colleague = client.but(user="user_colleague")
    refused(await colleague.delete(personal["id"]), 403, "OWNERSHIP_DENIED")
    refused(await colleague.get(f"/files/{personal['id']}/history"), 404, "MEDIA_NOT_FOUND")


async def test_the_system_owner_changes_everything_and_the_trail_says_on_what_ground(
    client: ApiClient, stranger: ApiClient
) -> None:
    file = await client.upload()
    owner = stranger.but(permissions="system:owner")
    answer = await owner.delete(file["id"])
    assert answer.status_code == 200
    client.position = owner.position
    items = (await client.get(f"/files/{file['id']}/history")).json()["items"]
    assert [item["access"] for item in items] == ["workspace", "workspace", "owner_bypass"]


async def test_the_system_owner_can_be_narrowed_to_the_request_s_workspace(
    client: ApiClient, stranger: ApiClient, narrowed: httpx.AsyncClient
) -> None:
    file = await client.upload()
    inside = ApiClient(narrowed, tenant=client.tenant, user="user_x", permissions="system:owner")
    outside = ApiClient(narrowed, tenant=stranger.tenant, user="user_x", permissions="system:owner")
    refused(await outside.delete(file["id"]), 403, "OWNERSHIP_DENIED")
    assert (await inside.delete(file["id"])).status_code == 200


async def test_the_system_owner_still_reads_only_the_request_s_workspace(
    client: ApiClient, stranger: ApiClient
) -> None:
    file = await client.upload()
    owner = stranger.but(permissions="system:owner")
    owner.position = client.position
    refused(await owner.get(f"/files/{file['id']}"), 404, "MEDIA_NOT_FOUND")
    assert await owner.listed() == []


async def test_a_removed_workspace_is_empty_at_once_and_takes_no_commands(
    client: ApiClient, internal: httpx.AsyncClient
) -> None:
    file, pending = await client.upload(), await client.presign()
    personal = await client.upload(scope="user")
    removed = await internal.delete(f"/internal/tenants/{client.tenant}")
    assert removed.status_code == 202
    client.position = removed.headers["media-position"]
    assert await client.listed() == []
    stats = (await client.get("/files/stats")).json()
    assert (stats["totalFiles"], stats["pendingUploads"]) == (0, 0)
    refused(await client.get(f"/files/{file['id']}"), 404, "MEDIA_NOT_FOUND")
    answer = await client.send("POST", "/upload/presign", json=asked())
    refused(answer, 403, "TENANT_REMOVED")
    refused(await client.complete(pending["mediaId"]), 403, "TENANT_REMOVED")
    refused(await client.delete(file["id"]), 403, "TENANT_REMOVED")
    answer = await client.send("POST", "/files/bulk-delete", json={"ids": [file["id"]]})
    refused(answer, 403, "TENANT_REMOVED")
    assert await client.but(tenant=None).listed() == [personal]
    again = await internal.delete(f"/internal/tenants/{client.tenant}")
    assert again.status_code == 202
    assert again.headers["media-position"] == removed.headers["media-position"]


async def test_a_rotated_gateway_key_works_beside_the_old_one(
    settings: Settings, client: ApiClient
) -> None:
    keys = ("development-gateway-key", "schlüssel-der-zweite")
    both = msgspec.structs.replace(settings, gateway_keys=keys)
    async with open_api_runtime(both) as runtime, serving(app.create_app(runtime)) as http:
        for key in keys:
            headers: dict[str, bytes] = {
                name: value.encode() for name, value in client.headers.items()
            } | {"x-gateway-key": key.encode()}
            answer = await http.get("/files", headers=headers)  # type: ignore[arg-type]
            assert answer.status_code == 200
        refused(await http.get("/files", headers=client.but(key="x").headers), 401, "UNAUTHORIZED")
